package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"gopkg.in/yaml.v2"
)

// A file for Prometheus's file_sd_configs is a list of these.
type group struct {
	Targets []model.LabelValue `json:"targets"`
	Labels  model.LabelSet     `json:"labels"`
}

// findTargets is for a Prometheus that was built without discovery in Kubernetes, as Debian's: with Prometheus's own code
// it finds what the kubernetes_sd_configs of a configuration are to find, and keeps a file for each, FOLDER/JOB.json,
// where JOB counts from 0. It asks the API server as the pod it runs in.
func findTargets(configuration, folder string) error {
	text, err := os.ReadFile(configuration)
	if err != nil {
		return err
	}
	var parsed struct {
		Jobs []struct {
			Kubernetes []*kubernetes.SDConfig `yaml:"kubernetes_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		return err
	}
	wanted := map[string]discovery.Configs{}
	for number, job := range parsed.Jobs {
		for _, each := range job.Kubernetes {
			name := fmt.Sprintf("%d.json", number)
			wanted[name] = append(wanted[name], each)
		}
	}
	registry := client.NewRegistry()
	metrics, err := discovery.CreateAndRegisterSDMetrics(registry)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	manager := discovery.NewManager(context.Background(), log, registry, metrics, discovery.Updatert(time.Second))
	if manager == nil {
		return fmt.Errorf("the discovery cannot start: its metrics are not registered")
	}
	ended := make(chan error, 1)
	go func() { ended <- manager.Run() }()
	if err := manager.ApplyConfig(wanted); err != nil {
		return err
	}
	for {
		select {
		case err := <-ended:
			return err
		case found := <-manager.SyncCh():
			for name, groups := range found {
				if err := keep(filepath.Join(folder, name), groups); err != nil {
					return err
				}
			}
		}
	}
}

// keep writes a new file in the place of the old one: Prometheus never sees half of it.
func keep(path string, found []*targetgroup.Group) error {
	groups := []group{}
	for _, each := range found {
		for _, target := range each.Targets {
			labels := model.LabelSet{}
			maps.Copy(labels, each.Labels)
			maps.Copy(labels, target)
			address := labels[model.AddressLabel]
			delete(labels, model.AddressLabel)
			groups = append(groups, group{[]model.LabelValue{address}, labels})
		}
	}
	text, err := json.Marshal(groups)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
