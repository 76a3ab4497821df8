{{/*
How a pod ends, in numbers. Invariant: the grace period is longer than drain delay and drain timeout together,
and the application outlives both.
*/}}

{{/* A duration of the configuration (500ms, 2s, 5m, 12h) in whole seconds, rounded up. */}}
{{- define "cognito-gateway.seconds" -}}
{{- $text := toString .text -}}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?(ms|s|m|h)$" $text) -}}
{{- fail (printf "%s: %s is no duration such as 500ms, 10s or 5m: the chart computes the pod's grace period from it" .key $text) -}}
{{- end -}}
{{- $unit := regexFind "[a-z]+$" $text -}}
{{- $factor := get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) $unit -}}
{{- mulf (float64 (trimSuffix $unit $text)) $factor | ceil | int -}}
{{- end -}}

{{/* drain_delay + drain_timeout, in seconds. */}}
{{- define "cognito-gateway.drainSeconds" -}}
{{- $listen := dict "drain_delay" .Values.drain.delay "drain_timeout" .Values.drain.timeout -}}
{{- if not .Values.existingConfig -}}
{{- $listen = mergeOverwrite $listen (default dict (default dict .Values.config).listen) -}}
{{- end -}}
{{- $delay := include "cognito-gateway.seconds" (dict "key" "config.listen.drain_delay" "text" $listen.drain_delay) -}}
{{- $timeout := include "cognito-gateway.seconds" (dict "key" "config.listen.drain_timeout" "text" $listen.drain_timeout) -}}
{{- add (int $delay) (int $timeout) -}}
{{- end -}}

{{/* 15 s beyond: the supervisor's own patience, and the application's time to stop behind its preStop. */}}
{{- define "cognito-gateway.terminationGracePeriodSeconds" -}}
{{- $drain := include "cognito-gateway.drainSeconds" . | int -}}
{{- $grace := .Values.terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $grace -}}
{{- add $drain 15 -}}
{{- else if le (int $grace) $drain -}}
{{- fail (printf "terminationGracePeriodSeconds: %d s would cut the drain short: more than drain_delay and drain_timeout together, %d s, is needed" (int $grace) $drain) -}}
{{- else -}}
{{- int $grace -}}
{{- end -}}
{{- end -}}

{{/*
The application's lifecycle. Both containers are told to stop at once, unless the application waits: it sleeps
while the gateway drains. Kubernetes 1.30 sleeps by itself, though not for 0 s; before, the image needs the program.
*/}}
{{- define "cognito-gateway.sidecar.appLifecycle" -}}
{{- $seconds := include "cognito-gateway.drainSeconds" . | int | max 1 -}}
preStop:
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}
  sleep:
    seconds: {{ $seconds }}
{{- else }}
  exec:
    command: [sleep, {{ $seconds | quote }}]
{{- end }}
{{- end -}}

{{/* "true" where the gateway is an init container with restartPolicy Always. */}}
{{- define "cognito-gateway.native" -}}
{{- $said := toString .Values.nativeSidecar -}}
{{- if eq $said "auto" -}}
{{- semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version -}}
{{- else -}}
{{- $said -}}
{{- end -}}
{{- end -}}
