package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

// newNetworkPoliciesCommand enforces NetworkPolicies on this node: what the project's own main does, but with the
// address of the API server from a file, since it does not run in a pod here.
func newNetworkPoliciesCommand() *cobra.Command {
	var file, node string
	command := &cobra.Command{Use: "network-policies", SilenceUsage: true, RunE: func(*cobra.Command, []string) error {
		ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		defer cancel()
		config, err := clientcmd.BuildConfigFromFlags("", file)
		if err != nil {
			return err
		}
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return err
		}
		all := informers.NewSharedInformerFactory(client, 0)
		controller, err := networkpolicy.NewController(client,
			all.Networking().V1().NetworkPolicies(), all.Core().V1().Namespaces(), all.Core().V1().Pods(),
			nil, nil, nil, nil,
			networkpolicy.Config{QueueID: 100, NodeName: node})
		if err != nil {
			return err
		}
		all.Start(ctx.Done())
		return controller.Run(ctx)
	}}
	command.Flags().StringVar(&file, "kubeconfig", "", "how to reach the API server")
	command.Flags().StringVar(&node, "hostname-override", "", "the node's name")
	return command
}
