package layout

import (
	"fmt"
	"os/exec"
	"reflect"
	"strings"
	"testing"
)

// members returns the lines that tools/layout prints.
func members(name string, of reflect.Type) (lines []string) {
	lines = append(lines, fmt.Sprintf("%s . %d 0", name, of.Size()))
	for i := 0; i < of.NumField(); i++ {
		field := of.Field(i)
		lines = append(lines, fmt.Sprintf("%s %s %d %d", name, field.Name, field.Offset, field.Type.Size()))
	}
	return
}

func TestStructsAreAsInC(t *testing.T) {
	printed, err := exec.Command("../../../../tools/layout").Output()
	if err != nil {
		t.Fatal(err)
	}
	inC := make(map[string][]string)
	for _, line := range strings.Split(strings.TrimSpace(string(printed)), "\n") {
		name := strings.Fields(line)[0]
		inC[name] = append(inC[name], line)
	}
	structs := Structs()
	for name, expected := range inC {
		found, ok := structs[name]
		if !ok {
			t.Errorf("%s is not compared", name)
			continue
		}
		if found := members(name, found); !reflect.DeepEqual(found, expected) {
			t.Errorf("C has %v\ncgo has %v", expected, found)
		}
	}
	if len(structs) != len(inC) || len(inC) == 0 {
		t.Errorf("C has %d structs, cgo %d", len(inC), len(structs))
	}
}
