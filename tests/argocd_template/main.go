// Renders a webhook body of Argo CD's notifications as its controller does: text/template
// with sprig's functions less env and expandenv, over the Application as unstructured JSON.
// Usage: render TEMPLATE_FILE < application.json
package main

import (
	"encoding/json"
	"log"
	"os"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

func main() {
	log.SetFlags(0)
	body, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var app map[string]interface{}
	if err := json.NewDecoder(os.Stdin).Decode(&app); err != nil {
		log.Fatal(err)
	}
	functions := sprig.TxtFuncMap()
	delete(functions, "env")
	delete(functions, "expandenv")
	parsed, err := template.New("post-sync").Funcs(functions).Parse(string(body))
	if err != nil {
		log.Fatal(err)
	}
	variables := map[string]interface{}{
		"app":         app,
		"context":     map[string]string{"argocdUrl": "https://argocd.example.com"},
		"serviceType": "webhook",
		"recipient":   "",
		"secrets":     map[string][]byte{},
	}
	if err := parsed.Execute(os.Stdout, variables); err != nil {
		log.Fatal(err)
	}
}
