{{/*
The volume under sign_in.state_dir. Invariant: a claim that one node's pods alone can mount has one pod.
*/}}

{{- define "cognito-gateway.stateDir" -}}
/var/lib/cognito-gateway
{{- end -}}

{{- define "cognito-gateway.claimName" -}}
{{- default (printf "%s-state" (include "cognito-gateway.fullname" .)) .Values.persistence.existingClaim -}}
{{- end -}}

{{/* "true" if the chart's own claim cannot be mounted by pods of several nodes. */}}
{{- define "cognito-gateway.ownedByOnePod" -}}
{{- $volume := .Values.persistence -}}
{{- and $volume.enabled (not $volume.existingClaim) (not (has "ReadWriteMany" $volume.accessModes)) -}}
{{- end -}}

{{- define "cognito-gateway.refuse.persistence" -}}
{{- $scaling := .Values.autoscaling -}}
{{- $replicas := ternary $scaling.maxReplicas .Values.replicaCount $scaling.enabled | int -}}
{{- if and (eq (include "cognito-gateway.ownedByOnePod" .) "true") (gt $replicas 1) -}}
{{- fail (printf "persistence.accessModes: pods of one node alone can mount the claim, and there may be %d replicas: set [ReadWriteMany], or replicaCount: 1" $replicas) -}}
{{- end -}}
{{- end -}}
