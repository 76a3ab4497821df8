{{/*
The gateway's configuration: what the user said, and what only the chart can know. Invariant: the chart writes no
key that the user gave; where the two could differ, it refuses.
*/}}

{{- define "cognito-gateway.upstreamUrl" -}}
{{- $url := .Values.upstream.url -}}
{{- if eq .Values.mode "standalone" -}}
{{- if not $url -}}
{{- fail "upstream.url is empty: name the Service of the API, e.g. http://orders.shop.svc.cluster.local:3000" -}}
{{- end -}}
{{- else if has .Values.mode (list "sidecar" "include") -}}
{{- $url = default (printf "http://127.0.0.1:%d" (int .Values.app.port)) $url -}}
{{- if not (regexMatch "^(unix:/|https?://(127\\.0\\.0\\.1|localhost|\\[::1\\])(:[0-9]+)?/?$)" $url) -}}
{{- fail (printf "upstream.url: %s is not in this pod: a sidecar's upstream is on 127.0.0.1 or at unix:/path; or take mode: standalone" $url) -}}
{{- end -}}
{{- end -}}
{{- $url -}}
{{- end -}}

{{- define "cognito-gateway.config" -}}
{{- $config := default dict .Values.config | deepCopy -}}
{{- $instead := dict "listen.address" "containerPort" "metrics.address" "metrics.port" "upstream.url" "upstream.url of the chart" "ext_authz.grpc_address" "extAuthz" -}}
{{- if .Values.persistence.enabled -}}
{{- $_ := set $instead "sign_in.state_dir" "persistence.enabled: false to mount a volume of your own" -}}
{{- end -}}
{{- range $path, $instead := $instead -}}
{{- $parts := splitList "." $path -}}
{{- if hasKey (default dict (get $config (first $parts))) (last $parts) -}}
{{- fail (printf "config.%s: the chart writes it: set %s" $path $instead) -}}
{{- end -}}
{{- end -}}
{{- $listen := merge (default dict $config.listen) (dict "address" (printf ":%d" (int .Values.containerPort)) "drain_delay" .Values.drain.delay "drain_timeout" .Values.drain.timeout) -}}
{{- $metrics := merge (default dict $config.metrics) (dict "address" (printf ":%d" (int .Values.metrics.port))) -}}
{{- $_ := set $config "listen" $listen -}}
{{- $_ := set $config "metrics" $metrics -}}
{{- with include "cognito-gateway.upstreamUrl" . -}}
{{- $_ := set $config "upstream" (merge (default dict $config.upstream) (dict "url" .)) -}}
{{- end -}}
{{- if .Values.extAuthz.enabled -}}
{{- $_ := set $config "ext_authz" (merge (default dict $config.ext_authz) (dict "grpc_address" (printf ":%d" (int .Values.extAuthz.port)))) -}}
{{- end -}}
{{- if .Values.persistence.enabled -}}
{{- $_ := set $config "sign_in" (merge (default dict $config.sign_in) (dict "state_dir" (include "cognito-gateway.stateDir" .))) -}}
{{- end -}}
{{- $text := toYaml $config -}}
{{- /* Helm holds numbers as floats of 53 bits; text that looks so is quoted in here. */ -}}
{{- with regexFind "(?m) -?([0-9.]+e[+][0-9]+|[0-9]{16,})$" $text -}}
{{- fail (printf "config:%s is a long number, which Helm rounds: put what you wrote in quotes" .) -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/* Of what a reload cannot apply; a change makes new pods. All of it with configChange: restart. */}}
{{- define "cognito-gateway.checksum" -}}
{{- if .Values.existingConfig -}}
{{- .Values.existingConfig | sha256sum -}}
{{- else if eq .Values.configChange "restart" -}}
{{- include "cognito-gateway.config" . | sha256sum -}}
{{- else -}}
{{- $config := default dict .Values.config -}}
{{- $listen := default dict $config.listen -}}
{{- list (get $listen "workers") (get $listen "tls") (default dict $config.metrics) .Values.containerPort .Values.metrics.port .Values.extAuthz | toJson | sha256sum -}}
{{- end -}}
{{- end -}}
