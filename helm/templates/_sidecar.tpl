{{/*
The gateway's container, for this chart's pods and for those of other charts. Each takes this chart's context; in
another chart that is `index .Subcharts "cognito-gateway"` (README.md).
*/}}

{{- define "cognito-gateway.securityContext" -}}
{{- with .Values.securityContext -}}
{{- if .enabled -}}
{{- omit . "enabled" | toYaml -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* One container: no list, no restartPolicy. */}}
{{- define "cognito-gateway.container" -}}
name: gateway
image: {{ include "cognito-gateway.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  - serve
  - --config=/etc/cognito-gateway/gateway.yaml
  {{- range $name, $value := .Values.extraArgs }}
  - {{ printf "--%s=%v" $name $value | quote }}
  {{- end }}
{{- with .Values.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - name: gateway
    containerPort: {{ .Values.containerPort }}
    protocol: TCP
  - name: metrics
    containerPort: {{ .Values.metrics.port }}
    protocol: TCP
  {{- if .Values.extAuthz.enabled }}
  - name: ext-authz
    containerPort: {{ .Values.extAuthz.port }}
    protocol: TCP
  {{- end }}
# The other probes begin when this has succeeded: a start on a busy node may take longer than livenessProbe allows.
# Kubernetes starts the application after a native sidecar then, so that it may ask the gateway from its first moment.
startupProbe:
  tcpSocket: {port: gateway}
  periodSeconds: 1
  failureThreshold: 120
{{- with .Values.livenessProbe }}
{{- if .enabled }}
livenessProbe:
  httpGet: {path: /healthz, port: metrics, scheme: HTTP}
  {{- omit . "enabled" | toYaml | nindent 2 }}
{{- end }}
{{- end }}
{{- with .Values.readinessProbe }}
{{- if .enabled }}
readinessProbe:
  httpGet: {path: /readyz, port: metrics, scheme: HTTP}
  {{- omit . "enabled" | toYaml | nindent 2 }}
{{- end }}
{{- end }}
{{- with include "cognito-gateway.securityContext" . }}
securityContext:
  {{- . | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  # The folder and no subPath: Kubernetes never updates those.
  - name: gateway-config
    mountPath: /etc/cognito-gateway
    readOnly: true
  {{- if .Values.existingSecret }}
  - name: gateway-secrets
    mountPath: /etc/cognito-gateway-secrets
    readOnly: true
  {{- end }}
  {{- if .Values.persistence.enabled }}
  - name: gateway-state
    mountPath: {{ include "cognito-gateway.stateDir" . }}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* For `containers:`, as a list; empty where the cluster has native sidecars. */}}
{{- define "cognito-gateway.sidecar" -}}
{{- include "cognito-gateway.refuse" . -}}
{{- if ne (include "cognito-gateway.native" .) "true" -}}
- {{ include "cognito-gateway.container" . | nindent 2 | trim }}
{{- end -}}
{{- end -}}

{{/*
For `initContainers:`, as a list; empty where the cluster has no native sidecars. Such a sidecar is told to stop
after the application: too late, since the door has to close first. So its preStop, which Kubernetes runs at the
beginning of the pod's end, sends the SIGTERM that begins the drain; the one that comes after the application
finds nothing left to cut.
*/}}
{{- define "cognito-gateway.sidecar.native" -}}
{{- include "cognito-gateway.refuse" . -}}
{{- if eq (include "cognito-gateway.native" .) "true" -}}
- {{ include "cognito-gateway.container" . | nindent 2 | trim }}
  restartPolicy: Always
  lifecycle:
    preStop:
      exec:
        command: [python, -c, "import os, signal; os.kill(1, signal.SIGTERM)"]
{{- end -}}
{{- end -}}

{{/* For `volumes:`, as a list. 0440 with a group that may read; without one every user of the pod must. */}}
{{- define "cognito-gateway.sidecar.volumes" -}}
- name: gateway-config
  configMap:
    name: {{ include "cognito-gateway.configMapName" . }}
{{- if .Values.existingSecret }}
- name: gateway-secrets
  secret:
    secretName: {{ .Values.existingSecret }}
    defaultMode: {{ ternary 288 292 (hasKey .Values.podSecurityContext "fsGroup") }}
{{- end }}
{{- if .Values.persistence.enabled }}
- name: gateway-state
  persistentVolumeClaim:
    claimName: {{ include "cognito-gateway.claimName" . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* For the pod's annotations. */}}
{{- define "cognito-gateway.sidecar.annotations" -}}
checksum/gateway-config: {{ include "cognito-gateway.checksum" . }}
{{- end -}}
