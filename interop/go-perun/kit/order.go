package kit

import (
	"bytes"

	"google.golang.org/protobuf/reflect/protoreflect"
	"perun.network/go-perun/wire/protobuf"
)

// ordered tells whether every map of addresses in a protobuf message ascends.
func ordered(message protoreflect.Message) bool {
	if address, ok := message.Interface().(*protobuf.Address); ok {
		entries := address.GetAddressMapping()
		for i := 1; i < len(entries); i++ {
			if bytes.Compare(entries[i-1].GetKey(), entries[i].GetKey()) >= 0 {
				return false
			}
		}
		return true
	}
	ok := true
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Kind() != protoreflect.MessageKind {
			return true
		}
		if !field.IsList() {
			ok = ordered(value.Message())
			return ok
		}
		for i := range value.List().Len() {
			ok = ok && ordered(value.List().Get(i).Message())
		}
		return ok
	})
	return ok
}
