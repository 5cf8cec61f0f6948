// Does what Argo CD's notification controller does with our configuration, by its own engine
// (github.com/argoproj/notifications-engine): it parses the ConfigMap with the Secret's values
// filled in, runs the triggers over each Application, renders the template and sends it.
//
//	controller render CONFIG_MAP < APPLICATIONS    a body each, as a JSON string
//	controller send CONFIG_MAP TOKEN < APPLICATIONS    a line each: what was triggered and sent
//	controller health CONFIG_MAP < OBJECTS    a line each: its health by a check in argocd-cm (health.go)
//
// APPLICATIONS has one Application as JSON on each line. What the controller keeps in an
// annotation, which triggers have fired before, is not kept: every line is news.
package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"os"
	"time"

	"github.com/argoproj/notifications-engine/pkg/api"
	"github.com/argoproj/notifications-engine/pkg/controller"
	"github.com/argoproj/notifications-engine/pkg/services"
	"github.com/argoproj/notifications-engine/pkg/templates"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

type object = map[string]interface{}

// Controlled tells what came of one Application: each condition that was met, and its error.
type Controlled struct {
	Met []Met `json:"met"`
}

// Met is one condition that was met, and what came of its notifications.
type Met struct {
	Key     string   `json:"key"`
	OncePer string   `json:"oncePer"`
	Errors  []string `json:"errors"`
}

// Pass is one look of the controller at an Application, so many seconds ahead of the real time.
type Pass struct {
	App   object  `json:"app"`
	Ahead float64 `json:"ahead"`
}

// Passed tells how many sends went well or failed, and the Application's annotations then.
type Passed struct {
	Sent        int               `json:"sent"`
	Failed      int               `json:"failed"`
	Annotations map[string]string `json:"annotations"`
}

// How far the clock of `time.Now` is ahead.
var ahead time.Duration

// As in argo-cd's util/notification/expression/time, of which we use these.
var clock = object{
	"Now": func() time.Time { return time.Now().Add(ahead) },
	"Parse": func(timestamp string) time.Time {
		res, err := time.Parse(time.RFC3339, timestamp)
		if err != nil {
			panic(err)
		}
		return res
	},
}

// As in argo-cd's util/notification/settings: these are the variables of a template.
func variables(app object, dest services.Destination) object {
	return object{
		"time":    clock,
		"app":     app,
		"context": map[string]string{"argocdUrl": "https://argocd.example.com"},
		"secrets": map[string][]byte{},
	}
}

func main() {
	log.SetFlags(0)
	logrus.SetOutput(io.Discard)
	var err error
	switch os.Args[1] {
	case "render":
		err = render(read(os.Args[2], ""))
	case "send":
		err = send(read(os.Args[2], os.Args[3]))
	case "pass":
		err = pass(read(os.Args[2], os.Args[3]))
	case "health":
		err = judge(os.Args[2])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func read(path string, token string) api.Config {
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	var configMap corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &configMap); err != nil {
		log.Fatal(err)
	}
	secret := corev1.Secret{Data: map[string][]byte{"postsync-token": []byte(token)}}
	config, err := api.ParseConfig(&configMap, &secret)
	if err != nil {
		log.Fatal(err)
	}
	return *config
}

func each[T any](do func(line T) (interface{}, error)) error {
	lines := bufio.NewReader(os.Stdin)
	decoder, encoder := json.NewDecoder(lines), json.NewEncoder(os.Stdout)
	for decoder.More() {
		var line T
		if err := decoder.Decode(&line); err != nil {
			return err
		}
		told, err := do(line)
		if err != nil {
			return err
		}
		if err := encoder.Encode(told); err != nil {
			return err
		}
	}
	return nil
}

func render(config api.Config) error {
	rendering, err := templates.NewService(config.Templates)
	if err != nil {
		return err
	}
	return each(func(app object) (interface{}, error) {
		vars := variables(app, services.Destination{})
		vars["serviceType"], vars["recipient"] = "postsync", ""
		notification, err := rendering.FormatNotification(vars, "post-sync")
		if err != nil {
			return nil, err
		}
		return notification.Webhook["postsync"].Body, nil
	})
}

func send(config api.Config) error {
	engine, err := api.NewAPI(config, variables)
	if err != nil {
		return err
	}
	return each(func(app object) (interface{}, error) {
		told := Controlled{Met: []Met{}}
		for trigger, destinations := range config.GetGlobalDestinations(nil) {
			results, err := engine.RunTrigger(trigger, app)
			if err != nil {
				return nil, err
			}
			for _, result := range results {
				if !result.Triggered {
					continue
				}
				met := Met{Key: result.Key, OncePer: result.OncePer, Errors: []string{}}
				for _, destination := range destinations {
					if err := engine.Send(app, result.Templates, destination); err != nil {
						met.Errors = append(met.Errors, err.Error())
					}
				}
				told.Met = append(told.Met, met)
			}
		}
		return told, nil
	})
}

// As in the engine's pkg/controller, processResourceWithAPI, with its own state: the annotations.
func pass(config api.Config) error {
	engine, err := api.NewAPI(config, variables)
	if err != nil {
		return err
	}
	return each(func(one Pass) (interface{}, error) {
		ahead = time.Duration(one.Ahead * float64(time.Second))
		app := &unstructured.Unstructured{Object: one.App}
		state, told := controller.NewStateFromRes(app), Passed{}
		for trigger, destinations := range config.GetGlobalDestinations(nil) {
			results, err := engine.RunTrigger(trigger, one.App)
			if err != nil {
				return nil, err
			}
			for _, result := range results {
				for _, to := range destinations {
					if !state.SetAlreadyNotified(false, "", trigger, result, to, result.Triggered) || !result.Triggered {
						continue
					}
					if err := engine.Send(one.App, result.Templates, to); err != nil {
						state.SetAlreadyNotified(false, "", trigger, result, to, false)
						told.Failed++
					} else {
						told.Sent++
					}
				}
			}
		}
		told.Annotations, err = state.Persist(app)
		return told, err
	})
}
