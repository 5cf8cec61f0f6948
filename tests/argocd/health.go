package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
	"sigs.k8s.io/yaml"
)

// Health is what Argo CD shows of an object.
type Health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// What a script may load in Argo CD: base, package and table, and of `os` two functions that tell the
// time, which are left out here. Neither strings nor files.
var libraries = []struct {
	name string
	open lua.LGFunction
}{
	{lua.LoadLibName, lua.OpenPackage},
	{lua.BaseLibName, lua.OpenBase},
	{lua.TabLibName, lua.OpenTable},
}

var statuses = map[string]bool{
	"Healthy": true, "Progressing": true, "Degraded": true, "Suspended": true, "Missing": true, "Unknown": true,
}

// As Argo CD (util/lua, util/settings) judges objects by the health checks of its ConfigMap; null
// where it has none for the kind.
func judge(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var configMap corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &configMap); err != nil {
		return err
	}
	return each(func(line json.RawMessage) (interface{}, error) {
		one := &unstructured.Unstructured{} // which reads whole numbers as int64, as the controller does
		if err := one.UnmarshalJSON(line); err != nil {
			return nil, err
		}
		kind := one.GroupVersionKind()
		script, found := configMap.Data["resource.customizations.health."+kind.Group+"_"+kind.Kind]
		if !found {
			return nil, nil
		}
		return judged(script, one.Object)
	})
}

func judged(script string, one object) (*Health, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range libraries {
		open := lua.P{Fn: state.NewFunction(library.open), Protect: true}
		if err := state.CallByParam(open, lua.LString(library.name)); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", inLua(state, one))
	if err := state.DoString(script); err != nil {
		return &Health{Status: "Unknown", Message: err.Error()}, nil
	}
	table, is := state.Get(-1).(*lua.LTable)
	if !is {
		return nil, fmt.Errorf("expected a table, not %s", state.Get(-1).Type())
	}
	encoded, err := luajson.Encode(table)
	if err != nil {
		return nil, err
	}
	health := &Health{}
	if err := json.Unmarshal(encoded, health); err != nil {
		return nil, err
	}
	if !statuses[health.Status] {
		return nil, fmt.Errorf("there is no health %q", health.Status)
	}
	return health, nil
}

func inLua(state *lua.LState, value interface{}) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case float64:
		return lua.LNumber(value)
	case int64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []interface{}:
		table := state.NewTable()
		for _, item := range value {
			table.Append(inLua(state, item))
		}
		return table
	case object:
		table := state.NewTable()
		for key, item := range value {
			table.RawSetString(key, inLua(state, item))
		}
		return table
	}
	return lua.LNil
}
