{{/*
What is refused before it is rendered: combinations that would look well and not be. Invariant: each is one sentence
that names the value and says what to do.
*/}}

{{- define "cognito-gateway.refuse" -}}
{{- $values := .Values -}}
{{- $own := has $values.mode (list "sidecar" "include") -}}
{{- range $name, $port := dict "containerPort" $values.containerPort "metrics.port" $values.metrics.port -}}
{{- if and $own (not $values.upstream.url) (eq (int $port) (int $values.app.port)) -}}
{{- fail (printf "app.port: %d is the gateway's own %s: containers of a pod share their ports, give one of them another" (int $port) $name) -}}
{{- end -}}
{{- end -}}
{{- if eq (int $values.containerPort) (int $values.metrics.port) -}}
{{- fail "metrics.port: it must differ from containerPort: metrics and probes never share the public port" -}}
{{- end -}}
{{- if and $values.existingConfig $values.config -}}
{{- fail "config and existingConfig: give one of them, the other would be ignored" -}}
{{- end -}}
{{- if hasKey (default dict $values.extraArgs) "config" -}}
{{- fail "extraArgs.config: the chart mounts the file and names it: give config, or existingConfig" -}}
{{- end -}}
{{- if $values.gatewayApi.enabled -}}
{{- include "cognito-gateway.refuse.route" . -}}
{{- end -}}
{{- if not $values.existingConfig -}}
{{- include "cognito-gateway.refuse.config" . -}}
{{- end -}}
{{- if ne $values.mode "include" -}}
{{- include "cognito-gateway.refuse.replicas" . -}}
{{- include "cognito-gateway.refuse.persistence" . -}}
{{- include "cognito-gateway.refuse.service" . -}}
{{- end -}}
{{- $monitor := $values.metrics.serviceMonitor -}}
{{- /* Prometheus knows longer ones (1m30s): those are not compared. */ -}}
{{- $simple := "^[0-9]+(ms|s|m|h)$" -}}
{{- if and (regexMatch $simple $monitor.interval) (regexMatch $simple $monitor.scrapeTimeout) -}}
{{- $interval := include "cognito-gateway.seconds" (dict "key" "metrics.serviceMonitor.interval" "text" $monitor.interval) -}}
{{- $timeout := include "cognito-gateway.seconds" (dict "key" "metrics.serviceMonitor.scrapeTimeout" "text" $monitor.scrapeTimeout) -}}
{{- if gt (int $timeout) (int $interval) -}}
{{- fail (printf "metrics.serviceMonitor.scrapeTimeout: %s is longer than the interval of %s, and Prometheus takes no such job: shorten it" $monitor.scrapeTimeout $monitor.interval) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cognito-gateway.refuse.config" -}}
{{- $values := .Values -}}
{{- $config := default dict $values.config -}}
{{- $listen := default dict $config.listen -}}
{{- $folder := "/etc/cognito-gateway-secrets" -}}
{{- $mounted := or $values.existingSecret (contains $folder (toJson (default list $values.extraVolumeMounts))) -}}
{{- if and (not $mounted) (contains (printf "%s/" $folder) (toJson $config)) -}}
{{- fail "config names files under /etc/cognito-gateway-secrets, and existingSecret is empty: name the Secret that holds them" -}}
{{- end -}}
{{- if and (eq $values.mode "forward-auth") (not $values.extAuthz.enabled) (not $listen.trusted_proxies) -}}
{{- fail "config.listen.trusted_proxies is empty: list the network of the proxy that asks, or /oauth2/auth does not believe which request it asks about" -}}
{{- end -}}
{{- $replicas := ternary $values.autoscaling.maxReplicas $values.replicaCount $values.autoscaling.enabled | int -}}
{{- $signIn := default dict $config.sign_in -}}
{{- $session := default dict $signIn.session -}}
{{- $enabled := or (not (hasKey $signIn "enabled")) $signIn.enabled -}}
{{- if and $enabled (gt $replicas 1) (ne $values.mode "include") -}}
{{- if not $session.secret_file -}}
{{- fail (printf "config.sign_in.session.secret_file is not set: each of %d replicas would seal cookies with a key of its own; put a key into existingSecret and name its file, or set config.sign_in.enabled: false where no browser signs in" $replicas) -}}
{{- end -}}
{{- if eq (default "cookie" $session.store) "memory" -}}
{{- fail (printf "config.sign_in.session.store: memory is each replica's own, and there are %d: take cookie or redis" $replicas) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Replicas, and how many of them may be away. A budget that lets none go stops every drain of a node. */}}
{{- define "cognito-gateway.refuse.replicas" -}}
{{- $scaling := .Values.autoscaling -}}
{{- $budget := .Values.podDisruptionBudget -}}
{{- $replicas := ternary $scaling.minReplicas .Values.replicaCount $scaling.enabled | int -}}
{{- if $scaling.enabled -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas: %d is more than maxReplicas, %d: raise the one or lower the other" (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- end -}}
{{- range $name, $target := dict "cpu" $scaling.targetCPUUtilizationPercentage "memory" $scaling.targetMemoryUtilizationPercentage -}}
{{- if and $target (not (get (default dict (default dict $.Values.resources).requests) $name)) -}}
{{- fail (printf "resources.requests.%s is not set: the autoscaler's target is a share of it; set it, or null the target" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $budget.enabled $replicas -}}
{{- $least := toString $budget.minAvailable -}}
{{- $most := toString $budget.maxUnavailable -}}
{{- $whole := regexMatch "^[0-9]+$" $least -}}
{{- if or (has $most (list "0" "0%")) (eq $least "100%") (and $whole (ge (int $least) $replicas)) -}}
{{- fail (printf "podDisruptionBudget: it lets none of the replicas (%d) go, so that no node could be drained: set maxUnavailable: 1, or enabled: false" $replicas) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cognito-gateway.refuse.service" -}}
{{- $service := .Values.service -}}
{{- if eq $service.type "ClusterIP" -}}
{{- range $key := list "nodePort" "externalTrafficPolicy" -}}
{{- if get $service $key -}}
{{- fail (printf "service.%s is for service.type: NodePort or LoadBalancer, and it is ClusterIP: leave it out, or change the type" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cognito-gateway.refuse.route" -}}
{{- $api := .Values.gatewayApi -}}
{{- $asks := $api.forwardAuth -}}
{{- if or (eq .Values.mode "include") (not $api.gatewayRef.name) -}}
{{- fail "gatewayApi: it needs gatewayRef.name, and in mode include an HTTPRoute of your own chart" -}}
{{- end -}}
{{- if and $asks.by (ne .Values.mode "forward-auth") -}}
{{- fail (printf "gatewayApi.forwardAuth.by: %s is for mode: forward-auth, and the mode is %s: in it the route leads to the gateway itself; leave it out" $asks.by .Values.mode) -}}
{{- end -}}
{{- if and $asks.by (not .Values.extAuthz.enabled) -}}
{{- fail (printf "gatewayApi.forwardAuth.by: %s asks over gRPC: set extAuthz.enabled: true; over HTTP no Gateway could remove the headers that clients must not send" $asks.by) -}}
{{- end -}}
{{- if and $asks.signIn (ne $asks.by "securityPolicy") -}}
{{- fail "gatewayApi.forwardAuth.signIn: only by: securityPolicy can say so to the gateway: take it, or leave signIn out" -}}
{{- end -}}
{{- if and $asks.by (not $asks.backendRefs) -}}
{{- fail "gatewayApi.forwardAuth.backendRefs is empty: name the Service of the API, e.g. {name: orders, port: 3000}" -}}
{{- end -}}
{{- end -}}
