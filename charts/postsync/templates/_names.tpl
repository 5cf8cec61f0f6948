{{- define "postsync.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains "postsync" $name) }}{{ $name = printf "%s-postsync" $name }}{{ end -}}
{{- $name = default $name .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $name) -}}
{{- fail (printf "fullnameOverride: no Service may be called %s, as the release has it; give a name of lower-case letters, digits and dashes that begins with a letter" $name) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{- define "postsync.selector" -}}
app.kubernetes.io/name: postsync
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "postsync.labels" -}}
{{ include "postsync.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "postsync.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{- /* The Secret of a purpose: (list . "senders"). Whoever gives none finds it under our name. */}}
{{- define "postsync.secret" -}}
{{- $root := index . 0 }}{{ $purpose := index . 1 -}}
{{- $given := dict "files" $root.Values.secrets.files "variables" $root.Values.secrets.variables "database" $root.Values.postgresql.secret | merge $root.Values.tokens -}}
{{- $ending := $purpose | replace "files" "secrets" -}}
{{- get $given $purpose | default (printf "%s-%s" (include "postsync.fullname" $root) $ending) -}}
{{- end }}

{{- /* Whether the pods that run rules may ask the API server; "" if not. */}}
{{- define "postsync.apiServer" -}}
{{- $wanted := or .Values.apiServer.access .Values.jobs.namespaces (include "postsync.tenantsHere" .) (include "postsync.applicationsHere" .) -}}
{{- if $wanted }}true{{ end -}}
{{- end }}

{{- define "postsync.tenantsHere" -}}
{{- if and .Values.tenants.bounds .Values.tenants.kubernetes.inCluster }}true{{ end -}}
{{- end }}

{{- /* The namespaces of Applications that connections read by this cluster's API server. */}}
{{- define "postsync.applicationsHere" -}}
{{- $found := list -}}
{{- range .Values.argocd.connections -}}
{{- with .kubernetes -}}
{{- if .inCluster }}{{ $found = concat $found (.namespaces | default (list "argocd")) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $found | uniq | sortAlpha | join " " -}}
{{- end }}

{{- define "postsync.role" -}}
{{- $root := index . 0 }}{{ $namespace := index . 1 }}{{ $name := index . 2 -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ $namespace | quote }}
  labels: {{- include "postsync.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
- {kind: ServiceAccount, name: {{ include "postsync.fullname" $root }}, namespace: {{ $root.Release.Namespace | quote }}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ $namespace | quote }}
  labels: {{- include "postsync.labels" $root | nindent 4 }}
{{- end }}

{{- define "postsync.clusterRole" -}}
{{- $root := index . 0 }}{{ $name := index . 1 -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels: {{- include "postsync.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $name }}
subjects:
- {kind: ServiceAccount, name: {{ include "postsync.fullname" $root }}, namespace: {{ $root.Release.Namespace | quote }}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels: {{- include "postsync.labels" $root | nindent 4 }}
{{- end }}
