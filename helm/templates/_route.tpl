{{/*
What the routes of the Gateway API share. Defaults of the API server are explicit; otherwise tools that compare
(Argo CD) always find a difference.
*/}}

{{- define "cognito-gateway.route.parents" -}}
{{- $api := .Values.gatewayApi -}}
parentRefs:
  - group: gateway.networking.k8s.io
    kind: Gateway
    name: {{ $api.gatewayRef.name }}
    {{- with $api.gatewayRef.namespace }}
    namespace: {{ . }}
    {{- end }}
    {{- with $api.gatewayRef.sectionName }}
    sectionName: {{ . }}
    {{- end }}
{{- with $api.hostnames }}
hostnames:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The gateway's Service, for requests. */}}
{{- define "cognito-gateway.route.backend" -}}
backendRefs:
  - group: ""
    kind: Service
    name: {{ include "cognito-gateway.fullname" . }}
    port: {{ .Values.service.portNumber }}
    weight: 1
{{- end -}}

{{/* The same, for decisions. */}}
{{- define "cognito-gateway.route.decides" -}}
group: ""
kind: Service
name: {{ include "cognito-gateway.fullname" . }}
port: {{ .Values.extAuthz.port }}
{{- end -}}
