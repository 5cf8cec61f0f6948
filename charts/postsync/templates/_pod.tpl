{{- /* A pod: (list . ""), or the "intake" or "worker" of several replicas. */}}
{{- define "postsync.pod" -}}
{{- $root := index . 0 }}{{ $part := index . 1 -}}
{{- $values := $root.Values -}}
{{- $tokens := ternary (list "senders" "operators" "viewers" "messengers" "extensions") list (ne $part "worker") -}}
{{- $runs := ne $part "intake" -}}
{{- $ownRules := or $values.rules.files (not $values.rules.configMaps) -}}
serviceAccountName: {{ include "postsync.fullname" $root }}
automountServiceAccountToken: {{ and $runs (eq (include "postsync.apiServer" $root) "true") }}
# Else a Service named postsync would set POSTSYNC_PORT to tcp://ADDRESS:8080.
enableServiceLinks: false
# What attempts have to end (drain), 5 s for the processes to be gone, and some to spare.
terminationGracePeriodSeconds: {{ add (ceil ($values.settings.drain | default 25)) 15 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with $values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with $values.pod.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.pod.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with $values.pod.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.pod.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- if $part }}
topologySpreadConstraints:
# On two nodes, if there are two that take pods; in two zones, if that can be done.
- topologyKey: kubernetes.io/hostname
  maxSkew: 1
  whenUnsatisfiable: DoNotSchedule
  nodeTaintsPolicy: Honor
  labelSelector:
    matchLabels: {{- include "postsync.selector" $root | nindent 6 }}
  matchLabelKeys: [app.kubernetes.io/component, pod-template-hash]
- topologyKey: topology.kubernetes.io/zone
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "postsync.selector" $root | nindent 6 }}
  matchLabelKeys: [app.kubernetes.io/component, pod-template-hash]
initContainers:
# The first of a new version brings the tables to it; the others find nothing to do.
- name: migrate
  args: [migrate, --wait, "600"]
  env:
  - name: POSTSYNC_DATABASE
    valueFrom: {secretKeyRef: {name: {{ include "postsync.secret" (list $root "database") | quote }}, key: url}}
  volumeMounts:
  - {name: database, mountPath: /etc/postsync/database, readOnly: true}
{{- include "postsync.container" $root | nindent 2 }}
{{- end }}
containers:
- name: postsync
  args: [{{ ternary "work" "serve" (eq $part "worker") }}]
  env: {{- include "postsync.settings" $root | nindent 2 }}
{{- if $part }}
  - name: POSTSYNC_DATABASE
    valueFrom: {secretKeyRef: {name: {{ include "postsync.secret" (list $root "database") | quote }}, key: url}}
{{- end }}
{{- $traced := and $values.tracing.enabled $values.tracing.secret }}
{{- if or $runs $traced }}
  envFrom: # a change needs a restart
{{- if $runs }}
  - secretRef: {name: {{ include "postsync.secret" (list $root "variables") | quote }}, optional: true}
{{- end }}
{{- with $traced }}
  - secretRef: {name: {{ . | quote }}}
{{- end }}
{{- end }}
  ports:
  - {name: http, containerPort: 8080}
{{- if eq $part "intake" }}
  lifecycle:
    preStop: # until nobody sends to this one any more
      sleep: {seconds: 5}
{{- end }}
  startupProbe: # a large ledger takes its time after an upgrade
    httpGet: {path: /healthz, port: http}
    periodSeconds: 2
    timeoutSeconds: 5
    failureThreshold: 150
  livenessProbe:
    httpGet: {path: /healthz, port: http}
    periodSeconds: 10
    # A worker's network that swallows all is found out in 10 s, and each host in 5 s.
    timeoutSeconds: {{ ternary 30 10 (eq $part "worker") }}
    failureThreshold: 3
  readinessProbe:
    httpGet: {path: /readyz, port: http}
    periodSeconds: 5
    timeoutSeconds: 5
{{- include "postsync.container" $root | nindent 2 }}
  volumeMounts:
{{- if not $part }}
  - {name: home, mountPath: /var/lib/postsync}
{{- end }}
{{- range $tokens }}
  - {name: {{ . }}, mountPath: /var/lib/postsync/{{ . }}, readOnly: true}
{{- end }}
{{- if $runs }}
  - {name: secrets, mountPath: /var/lib/postsync/secrets, readOnly: true}
  # As folders: a file that is mounted by subPath would never change.
{{- if $ownRules }}
  - {name: rules, mountPath: /etc/postsync/rules, readOnly: true}
{{- end }}
{{- range $n, $name := $values.rules.configMaps }}
  - {name: rules-{{ $n }}, mountPath: /etc/postsync/configmaps/{{ $name }}, readOnly: true}
{{- end }}
{{- end }}
{{- if $part }}
  - {name: database, mountPath: /etc/postsync/database, readOnly: true}
{{- end }}
{{- if $values.certificates }}
  - {name: certificates, mountPath: /etc/postsync/certificates, readOnly: true}
{{- end }}
  - {name: tmp, mountPath: /tmp}
  - {name: memory, mountPath: /dev/shm}
volumes:
{{- if not $part }}
- name: home
  persistentVolumeClaim: {claimName: {{ $values.persistence.existingClaim | default (include "postsync.fullname" $root) | quote }}}
{{- end }}
# The pod waits for the senders' Secret; the others may come later, or never.
{{- range $tokens }}
- name: {{ . }}
  secret: {secretName: {{ include "postsync.secret" (list $root .) | quote }}, defaultMode: 0440{{ if ne . "senders" }}, optional: true{{ end }}}
{{- end }}
{{- if $runs }}
- name: secrets
  secret: {secretName: {{ include "postsync.secret" (list $root "files") | quote }}, defaultMode: 0440, optional: true}
{{- if $ownRules }}
- name: rules
  configMap: {name: {{ include "postsync.fullname" $root }}-rules}
{{- end }}
{{- range $n, $name := $values.rules.configMaps }}
- name: rules-{{ $n }}
  configMap: {name: {{ $name | quote }}}
{{- end }}
{{- end }}
{{- if $part }}
# For `?sslmode=verify-full&sslrootcert=/etc/postsync/database/ca.crt` in the URL.
- name: database
  secret:
    secretName: {{ include "postsync.secret" (list $root "database") | quote }}
    items: [{key: ca.crt, path: ca.crt}]
    defaultMode: 0440
    optional: true
{{- end }}
{{- with $values.certificates }}
- name: certificates
  configMap: {name: {{ . | quote }}}
{{- end }}
- name: tmp # SQLite's temporary files
  emptyDir: {sizeLimit: 256Mi}
- name: memory # gunicorn's heartbeat file
  emptyDir: {medium: Memory, sizeLimit: 8Mi}
{{- end }}

{{- /* What each container has. */}}
{{- define "postsync.container" -}}
image: {{ include "postsync.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
resources: {{- toYaml .Values.pod.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}
