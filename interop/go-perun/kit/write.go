package kit

import (
	"bytes"
	"errors"
	"regexp"
	"slices"

	"google.golang.org/protobuf/proto"
	"perun.network/go-perun/wire"
	native "perun.network/go-perun/wire/perunio/serializer"
	"perun.network/go-perun/wire/protobuf"
)

// Serializers are go-perun's two, by name.
var Serializers = map[string]wire.EnvelopeSerializer{
	"native":   native.Serializer(),
	"protobuf": protobuf.Serializer(),
}

// Go walks maps in random order. So many tries find every order of a handful of small maps.
const tries = 2000

// Write gives an envelope's bytes with all maps ascending, and those that differ most from them if
// its maps have other orders.
func Write(serializer string, env *wire.Envelope) (sorted, other []byte, err error) {
	count := tries
	if !hasChoice(env) {
		count = 1
	}
	for range count {
		data, err := write(serializer, env)
		if err != nil {
			return nil, nil, err
		}
		if sorted == nil || before(serializer, data, sorted) {
			sorted = data
		}
		if bytes.Compare(data, other) > 0 {
			other = data
		}
	}
	if serializer == "protobuf" && !ascending(sorted) {
		return nil, nil, errors.New("no try had all maps in order")
	}
	if bytes.Equal(sorted, other) {
		other = nil
	}
	return sorted, other, nil
}

// before tells whether the maps of one are nearer to ascending. In the native format a map's keys
// come before anything else that may differ.
func before(serializer string, one, other []byte) bool {
	if serializer == "protobuf" {
		return ascending(one) && !ascending(other)
	}
	return bytes.Compare(one, other) < 0
}

var choice = regexp.MustCompile(`,\d:`)

func hasChoice(env *wire.Envelope) bool {
	return slices.ContainsFunc(Describe(env), choice.MatchString)
}

func write(serializer string, env *wire.Envelope) ([]byte, error) {
	var out bytes.Buffer
	err := Serializers[serializer].Encode(&out, env)
	return out.Bytes(), err
}

// Read gives the envelope that is all of these bytes.
func Read(serializer string, data []byte) (*wire.Envelope, error) {
	reader := bytes.NewReader(data)
	env, err := Serializers[serializer].Decode(reader)
	if err == nil && reader.Len() > 0 {
		err = errors.New("bytes are left over")
	}
	return env, err
}

// ascending tells whether the maps of addresses in a protobuf frame are in order.
func ascending(frame []byte) bool {
	var env protobuf.Envelope
	if err := proto.Unmarshal(frame[2:], &env); err != nil {
		panic(err)
	}
	return ordered(env.ProtoReflect())
}
