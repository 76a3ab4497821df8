{{/* Names and labels. Nothing here decides anything. */}}

{{- define "cognito-gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The release's name is enough where it holds the chart's. 53: -dashboard and its kin fit behind it. */}}
{{- define "cognito-gateway.fullname" -}}
{{- $name := include "cognito-gateway.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "cognito-gateway.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "cognito-gateway.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cognito-gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "cognito-gateway.ownLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "cognito-gateway.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/*
All labels of an object: `list CONTEXT (labels of its own)`. Each key once, the object's own before customLabels;
YAML that says a key twice is refused by some tools, and read either way by others.
*/}}
{{- define "cognito-gateway.labels" -}}
{{- $context := first . -}}
{{- $ours := include "cognito-gateway.ownLabels" $context | fromYaml -}}
{{- $theirs := mergeOverwrite (dict) (default dict $context.Values.customLabels) (default dict (last .)) -}}
{{- range $key := keys $theirs | sortAlpha -}}
{{- if hasKey $ours $key -}}
{{- fail (printf "label %s: the chart writes it, and finds its pods by such labels: take another name" $key) -}}
{{- end -}}
{{- end -}}
{{- merge $ours $theirs | toYaml -}}
{{- end -}}

{{/* The labels by which the gateway's pods are found: ours, or in mode include those of the other chart. */}}
{{- define "cognito-gateway.podSelector" -}}
{{- if eq .Values.mode "include" -}}
{{- toYaml .Values.podSelector -}}
{{- else -}}
{{- include "cognito-gateway.selectorLabels" . -}}
{{- end -}}
{{- end -}}

{{- define "cognito-gateway.serviceAccountName" -}}
{{- if .Values.serviceAccount.enabled -}}
{{- default (include "cognito-gateway.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "cognito-gateway.configMapName" -}}
{{- default (include "cognito-gateway.fullname" .) .Values.existingConfig -}}
{{- end -}}

{{- define "cognito-gateway.image" -}}
{{- $image := .Values.image -}}
{{- if not $image.repository -}}
{{- fail "image.repository is empty: build the image (docs/image.md), push it where the cluster can pull it and name it here" -}}
{{- end -}}
{{- if not (regexMatch "^([a-zA-Z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$" $image.repository) -}}
{{- fail (printf "image.repository: %s is no repository: give it without https:// and capital letters, and its tag as image.tag" $image.repository) -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag | toString) -}}
{{- end -}}
{{- end -}}
