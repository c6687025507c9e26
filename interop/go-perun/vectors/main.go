// Vectors writes messages as go-perun writes them, or checks those that others wrote.
//
//	go run ./vectors                writes ../../vectors/goperun-messages.json
//	go run ./vectors -check         reads ../../vectors/goperun-answers.json
//	go run ./vectors -verify        writes nothing: are the committed messages what would be written?
//	go run ./vectors -make-key      writes ../../vectors/goperun-wire-key.json with a new key
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"interop/kit"

	"perun.network/go-perun/wire"
)

// vector is one envelope. Bytes are hexadecimal, without a prefix.
type vector struct {
	Name string `json:"name"`
	// As go-perun's two serializers write it, with all maps ascending. Protobuf is empty where
	// go-perun cannot write it.
	Native   string `json:"native"`
	Protobuf string `json:"protobuf,omitempty"`
	// The same with maps in another order: to be read, not to be written.
	NativeOther   string `json:"native_other,omitempty"`
	ProtobufOther string `json:"protobuf_other,omitempty"`
	// Go-perun's protobuf encoder leaves out what is locked.
	LosesLocked bool `json:"loses_locked,omitempty"`
	// What it says, one field per line.
	Says []string `json:"says,omitempty"`
}

type file struct {
	Source string   `json:"source"`
	Rows   []vector `json:"rows"`
}

func main() {
	check := flag.Bool("check", false, "check what others wrote")
	verify := flag.Bool("verify", false, "compare instead of writing")
	makeKey := flag.Bool("make-key", false, "make a new key for tests")
	folder := flag.String("folder", "../../vectors", "where the vectors are")
	flag.Parse()
	key := filepath.Join(*folder, "goperun-wire-key.json")
	var err error
	switch {
	case *check:
		err = checkAnswers(filepath.Join(*folder, "goperun-answers.json"))
	case *makeKey:
		err = kit.MakeKey(key)
	default:
		err = writeMessages(filepath.Join(*folder, "goperun-messages.json"), *verify)
	}
	if err == nil {
		err = kit.CheckKey(key)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func writeMessages(path string, verify bool) error {
	rows := []vector{}
	told := map[wire.Type]bool{}
	for _, message := range messages() {
		row, err := vectorOf(message)
		if err != nil {
			return fmt.Errorf("%s: %w", message.name, err)
		}
		// The words of the first of each type, and of what is special, tell the fields apart.
		if told[message.env.Msg.Type()] && !message.special {
			row.Says = nil
		}
		told[message.env.Msg.Type()] = true
		rows = append(rows, row)
	}
	source := "go-perun v0.15.0, perun-eth-backend v0.6.0: interop/go-perun/vectors"
	data, err := encode(file{source, rows})
	if err != nil {
		return err
	}
	if !verify {
		fmt.Printf("%d messages, %d bytes\n", len(rows), len(data))
		return os.WriteFile(path, data, 0o644)
	}
	committed, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(data, committed) {
		err = fmt.Errorf("%s is not what go-perun writes", path)
	}
	fmt.Printf("%d messages compared\n", len(rows))
	return err
}

// encode writes one row per line.
func encode(f file) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\"source\": %q, \"rows\": [\n", f.Source)
	for i, row := range f.Rows {
		data, err := json.Marshal(row)
		if err != nil {
			return nil, err
		}
		out.Write(data)
		if i+1 < len(f.Rows) {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
	}
	out.WriteString("]}\n")
	return out.Bytes(), nil
}

func vectorOf(m message) (vector, error) {
	row := vector{Name: m.name, LosesLocked: m.locks, Says: kit.Describe(m.env)}
	native, nativeOther, err := kit.Write("native", m.env)
	if err != nil {
		return row, err
	}
	row.Native, row.NativeOther = hex.EncodeToString(native), hex.EncodeToString(nativeOther)
	if m.nativeOnly {
		return row, nil
	}
	protobuf, protobufOther, err := kit.Write("protobuf", m.env)
	row.Protobuf, row.ProtobufOther = hex.EncodeToString(protobuf), hex.EncodeToString(protobufOther)
	return row, err
}

func checkAnswers(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var answers file
	if err := json.Unmarshal(data, &answers); err != nil {
		return err
	}
	for _, row := range answers.Rows {
		if err := checkAnswer(row); err != nil {
			return fmt.Errorf("%s: %w", row.Name, err)
		}
	}
	if len(answers.Rows) == 0 {
		return fmt.Errorf("%s: nothing to check", path)
	}
	fmt.Printf("%d messages read by go-perun\n", len(answers.Rows))
	return nil
}

// checkAnswer reads both spellings with go-perun: they must say what their writer says, and go-perun
// must write them in the same way, except for what its protobuf encoder leaves out.
func checkAnswer(row vector) error {
	for serializer, text := range map[string]string{"native": row.Native, "protobuf": row.Protobuf} {
		data, err := hex.DecodeString(text)
		if err != nil {
			return err
		}
		env, err := kit.Read(serializer, data)
		if err != nil {
			return fmt.Errorf("%s: %w", serializer, err)
		}
		if says := kit.Describe(env); !slices.Equal(says, row.Says) {
			return fmt.Errorf("%s says\n%q, not\n%q", serializer, says, row.Says)
		}
		if serializer == "protobuf" && row.LosesLocked {
			continue
		}
		again, _, err := kit.Write(serializer, env)
		if err != nil {
			return fmt.Errorf("%s: %w", serializer, err)
		}
		if !bytes.Equal(again, data) {
			return fmt.Errorf("%s: go-perun writes\n%x, not\n%x", serializer, again, data)
		}
	}
	return nil
}
