{{- /* The settings, as variables: a list or a mapping is JSON. */}}
{{- define "postsync.settings" -}}
- {name: POSTSYNC_HOME, value: /var/lib/postsync}
- {name: POSTSYNC_RULES, value: {{ include "postsync.rules" . | quote }}}
- {name: POSTSYNC_PORT, value: "8080"}
{{- if or (has "IPv6" .Values.service.ipFamilies) (hasSuffix "DualStack" .Values.service.ipFamilyPolicy) }}
- {name: POSTSYNC_HOST, value: "::"}
{{- end }}
{{- with .Values.urlPrefix }}
- {name: POSTSYNC_URL_PREFIX, value: {{ . | quote }}}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.settings.pageUrl) }}
- {name: POSTSYNC_PAGE_URL, value: {{ printf "%s://%s%s" (ternary "https" "http" (not (empty .Values.ingress.tlsSecret))) .Values.ingress.host .Values.urlPrefix | quote }}}
{{- end }}
{{- with .Values.argocd.connections }}
- {name: POSTSYNC_ARGOCD, value: {{ toJson . | quote }}}
{{- end }}
{{- if .Values.tenants.bounds }}
- {name: POSTSYNC_TENANTS, value: {{ omit .Values.tenants "grants" "crd" | toJson | quote }}}
{{- end }}
{{- if .Values.tracing.enabled }}
- {name: POSTSYNC_TRACING, value: "true"}
{{- range $name, $value := .Values.tracing.variables }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
{{- range $key, $value := .Values.settings }}
- {name: POSTSYNC_{{ $key | snakecase | upper }}, value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}}
{{- end }}
{{- end }}

{{- /* The folders of rules: the chart's own, and one for each ConfigMap that is named. */}}
{{- define "postsync.rules" -}}
{{- $folders := list -}}
{{- if or .Values.rules.files (not .Values.rules.configMaps) }}{{ $folders = append $folders "/etc/postsync/rules" }}{{ end -}}
{{- range .Values.rules.configMaps }}{{ $folders = append $folders (printf "/etc/postsync/configmaps/%s" .) }}{{ end -}}
{{- join "," $folders -}}
{{- end }}
