package control

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// spec is an OpenAPI document.
type spec map[string]any

func loadSpec(t *testing.T) spec {
	t.Helper()
	var doc map[string]any
	require.NoError(t, yaml.Unmarshal(OpenAPI, &doc))
	return doc
}

// at follows keys, and references on the way.
func (s spec) at(v any, keys ...string) any {
	v = s.deref(v)
	for _, k := range keys {
		m, _ := v.(map[string]any)
		v = s.deref(m[k])
	}
	return v
}

func (s spec) deref(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	ref, ok := m["$ref"].(string)
	if !ok {
		return v
	}
	return s.at(map[string]any(s), strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
}

// locate is at from the document's root, and the JSON pointer to what is found.
func (s spec) locate(keys ...string) (pointer string, v any) {
	v = map[string]any(s)
	for _, k := range keys {
		m, _ := v.(map[string]any)
		v, pointer = m[k], pointer+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(k)
		if m, ok := v.(map[string]any); ok {
			if ref, ok := m["$ref"].(string); ok {
				pointer, v = strings.TrimPrefix(ref, "#"), s.deref(v)
			}
		}
	}
	return pointer, v
}

// schemas hold values against the document's schemas, which are those of JSON Schema 2020-12, as another program's author reads it. An
// object must have no members that are not described, even where the document leaves the future open.
type schemas struct {
	spec
	compiler *jsonschema.Compiler
}

func newSchemas(t *testing.T) schemas {
	t.Helper()
	strict := loadSpec(t)
	closeObjects(map[string]any(strict))
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource("openapi.yaml", map[string]any(strict)))
	return schemas{strict, c}
}

// closeObjects has the schemas of objects take what they describe, and no more.
func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		_, described := v["properties"].(map[string]any)
		if _, said := v["additionalProperties"]; v["type"] == "object" && described && !said {
			v["additionalProperties"] = false
		}
		for _, e := range v {
			closeObjects(e)
		}
	case []any:
		for _, e := range v {
			closeObjects(e)
		}
	}
}

// check holds JSON against the schema that the keys lead to.
func (s schemas) check(t *testing.T, text []byte, keys ...string) {
	t.Helper()
	pointer, found := s.locate(keys...)
	require.NotNil(t, found, "nothing is described at %v", keys)
	parts := strings.Split(pointer, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	schema, err := s.compiler.Compile("openapi.yaml#" + strings.Join(parts, "/"))
	require.NoError(t, err)
	var v any
	require.NoError(t, json.Unmarshal(text, &v))
	if err := schema.Validate(v); err != nil {
		t.Errorf("%s\n%s", err, text)
	}
}

// What the checks of this package rely on: a value that is not as it is described is found.
func TestSchemasAreChecked(t *testing.T) {
	s := newSchemas(t)
	for text, want := range map[string]string{
		`{"id":"a","received":"2026-12-24T18:00:00Z"}`: "",
		`{"id":"a"}`:                                           "received",
		`{"id":"a","received":"today"}`:                        "date-time",
		`{"id":1,"received":"2026-12-24T18:00:00Z"}`:           "string",
		`{"id":"a","received":"2026-12-24T18:00:00Z","x":"y"}`: "additional",
	} {
		schema, err := s.compiler.Compile("openapi.yaml#/components/schemas/ContactRequest")
		require.NoError(t, err)
		var v any
		require.NoError(t, json.Unmarshal([]byte(text), &v))
		err = schema.Validate(v)
		if want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want, fmt.Sprint(v))
		}
	}
}
