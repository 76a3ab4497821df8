{{/* mode sidecar: the application's container. It has no ports: nobody is to connect to it but the gateway. */}}
{{- define "cognito-gateway.app" -}}
{{- if not .Values.app.image -}}
{{- fail "app.image is empty: mode sidecar needs the image of your application, as repository:tag" -}}
{{- end -}}
name: {{ .Values.app.name }}
image: {{ .Values.app.image | quote }}
{{- range $key := list "imagePullPolicy" "command" "args" "workingDir" "env" "envFrom" "volumeMounts" "resources" "securityContext" "startupProbe" "readinessProbe" "livenessProbe" }}
{{- with get $.Values.app $key }}
{{ dict $key . | toYaml }}
{{- end }}
{{- end }}
lifecycle:
{{- if .Values.app.lifecycle }}
  {{- toYaml .Values.app.lifecycle | nindent 2 }}
{{- else }}
  {{- include "cognito-gateway.sidecar.appLifecycle" . | nindent 2 }}
{{- end }}
{{- end -}}
