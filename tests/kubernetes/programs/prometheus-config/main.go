// Command prometheus-config does for ServiceMonitors what the Prometheus operator does, with the operator's own code: it
// selects and checks those that a Prometheus asks for, and writes the configuration of that Prometheus.
//
// Standard input is a List, as kubectl prints it, of one Prometheus, of ServiceMonitors and of the Namespaces they may be
// in. Standard output is the configuration. What the operator would leave out, with a warning, is an error here.
//
// `prometheus-config targets CONFIGURATION FOLDER` finds the targets of such a configuration, until it is stopped.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus-operator/prometheus-operator/pkg/assets"
	"github.com/prometheus-operator/prometheus-operator/pkg/operator"
	"github.com/prometheus-operator/prometheus-operator/pkg/prometheus"
	client "github.com/prometheus/client_golang/prometheus"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
)

type given struct {
	prometheus *monitoring.Prometheus
	monitors   []*monitoring.ServiceMonitor
	namespaces cache.SharedIndexInformer
}

func main() {
	var err error
	if len(os.Args) == 4 && os.Args[1] == "targets" {
		err = findTargets(os.Args[2], os.Args[3])
	} else {
		err = run(os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "prometheus-config:", err)
		os.Exit(1)
	}
}

func run(from io.Reader, to io.Writer) error {
	all, err := read(from)
	if err != nil {
		return err
	}
	// Of the API server: what a ServiceMonitor may name of Secrets and ConfigMaps. Without it, naming one is an error.
	store := assets.NewStoreBuilder(nil, nil)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	selector, err := prometheus.NewResourceSelector(
		log, all.prometheus, store, all.namespaces,
		operator.NewMetrics(client.NewRegistry()),
		operator.NewFakeRecorder(len(all.monitors), all.prometheus),
	)
	if err != nil {
		return err
	}
	selected, err := selector.SelectServiceMonitors(context.Background(), all.list)
	if err != nil {
		return err
	}
	valid := selected.ValidResources()
	if len(valid) == 0 || len(valid) < len(selected) {
		return fmt.Errorf("of %d ServiceMonitors it selects %d, %d of them valid", len(all.monitors), len(selected), len(valid))
	}
	generator, err := prometheus.NewConfigGenerator(log, all.prometheus, prometheus.WithEndpointSliceSupport())
	if err != nil {
		return err
	}
	// Under this name the operator keeps its rule files.
	rules := []string{fmt.Sprintf("prometheus-%s-rulefiles-0", all.prometheus.Name)}
	made, err := generator.GenerateServerConfiguration(all.prometheus, valid, nil, nil, nil, store, nil, nil, nil, rules)
	if err != nil {
		return err
	}
	_, err = to.Write(made)
	return err
}

func read(from io.Reader) (*given, error) {
	var list struct{ Items []json.RawMessage }
	if err := json.NewDecoder(from).Decode(&list); err != nil {
		return nil, err
	}
	all := &given{namespaces: cache.NewSharedIndexInformer(nil, &core.Namespace{}, 0, nil)}
	for _, raw := range list.Items {
		var about struct{ Kind string }
		if err := json.Unmarshal(raw, &about); err != nil {
			return nil, err
		}
		if err := all.add(about.Kind, raw); err != nil {
			return nil, fmt.Errorf("%s: %w", about.Kind, err)
		}
	}
	if all.prometheus == nil {
		return nil, errors.New("no Prometheus is given")
	}
	return all, nil
}

func (all *given) add(kind string, raw []byte) error {
	switch kind {
	case monitoring.PrometheusesKind:
		all.prometheus = &monitoring.Prometheus{}
		return json.Unmarshal(raw, all.prometheus)
	case monitoring.ServiceMonitorsKind:
		monitor := &monitoring.ServiceMonitor{}
		all.monitors = append(all.monitors, monitor)
		return json.Unmarshal(raw, monitor)
	case "Namespace":
		namespace := &core.Namespace{}
		if err := json.Unmarshal(raw, namespace); err != nil {
			return err
		}
		return all.namespaces.GetStore().Add(namespace)
	}
	return errors.New("not expected")
}

// list is what the operator asks its cache of ServiceMonitors for.
func (all *given) list(namespace string, selector labels.Selector, each cache.AppendFunc) error {
	for _, monitor := range all.monitors {
		if monitor.Namespace == namespace && selector.Matches(labels.Set(monitor.Labels)) {
			each(monitor)
		}
	}
	return nil
}
