{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{/* What the names of all objects begin with. */}}
{{- define "tsgw.name" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* What selects the pods of a component: (dict "root" $ "component" "operator"). Never to be changed: a Deployment's selector is immutable. */}}
{{- define "tsgw.selector" -}}
app.kubernetes.io/name: tailscale-gateway
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "tsgw.labels" -}}
{{ include "tsgw.selector" . }}
app.kubernetes.io/part-of: tailscale-gateway
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tsgw.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Flags that operator and extension servers share. */}}
{{- define "tsgw.policyArgs" -}}
{{- range .Values.watchNamespaces }}
- --watch-namespaces={{ . }}
{{- end }}
{{- range .Values.policy.allowedCIDRs }}
- --allowed-cidrs={{ . }}
{{- end }}
{{- range .Values.policy.allowedProxies }}
- --allowed-proxies={{ . }}
{{- end }}
{{- range .Values.policy.allowedImages }}
- {{ printf "--allowed-images=%s" . | quote }}
{{- end }}
{{- with .Values.policy.localSourcesDir }}
- {{ printf "--local-sources-dir=%s" . | quote }}
{{- end }}
{{- if .Values.policy.allowInsecureAPI }}
- --allow-insecure-api
{{- end }}
{{- end -}}

{{/* (dict "root" $ "component" … "name" … "rules" text "kind" "Role"|"ClusterRole" "namespace" …): a role and who has it. */}}
{{- define "tsgw.role" -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ .name }}
  {{- if eq .kind "Role" }}
  namespace: {{ .namespace }}
  {{- end }}
  labels: {{- include "tsgw.labels" . | nindent 4 }}
rules:
{{ trim .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ .name }}
  {{- if eq .kind "Role" }}
  namespace: {{ .namespace }}
  {{- end }}
  labels: {{- include "tsgw.labels" . | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ .kind }}, name: {{ .name }}}
subjects:
- {kind: ServiceAccount, name: {{ include "tsgw.name" .root }}-{{ .component }}, namespace: {{ .root.Release.Namespace }}}
{{- end -}}

{{/* What Envoy Gateway's configuration must say; `check` compares it. */}}
{{- define "tsgw.envoyGatewayConfig" -}}
extensionManager:
  policyResources:
  - {group: gateway.tailscale.com, version: v1alpha1, kind: TailscaleGatewayBinding}
  hooks:
    xdsTranslator:
      post: [VirtualHost, Translation]
      translation:
        listener: {includeAll: true}
        route: {includeAll: true}
        cluster: {includeAll: true}
        secret: {includeAll: false}
  service:
    fqdn: {hostname: tailscale-gateway-extension.{{ .Release.Namespace }}.svc, port: 5005}
    tls:
      certificateRef: {name: tailscale-gateway-extension-ca}
      clientCertificateRef: {name: tailscale-gateway-extension-client}
  failOpen: false
  maxMessageSize: 64Mi
{{- end -}}
