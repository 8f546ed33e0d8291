{{/* The name of everything in a release. */}}
{{- define "llm-gateway.name" -}}
{{- if contains "llm-gateway" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-llm-gateway" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* By what pods are found; these must never change. */}}
{{- define "llm-gateway.selector" -}}
app.kubernetes.io/name: llm-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "llm-gateway.labels" -}}
{{ include "llm-gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The addresses of the store and of the platform's services, by variable; `config` has precedence. */}}
{{- define "llm-gateway.addresses" -}}
{{- $known := dict
  "LLM_GATEWAY_SEMANTIC_SEARCH_URL" .Values.services.semanticSearch
  "LLM_GATEWAY_AI_AGENTS_URL" .Values.services.aiAgents
  "LLM_GATEWAY_CODE_ORCHESTRATOR_URL" .Values.services.codeOrchestrator
  "LLM_GATEWAY_INFERENCE_SERVICE_URL" .Values.services.inference
  "LLM_GATEWAY_CMS_URL" .Values.services.contextManagement
  "LLM_GATEWAY_OLLAMA_BASE_URL" .Values.services.ollama
  "LLM_GATEWAY_REDIS_URL" (ternary "" .Values.redis.url .Values.redis.inSecret) -}}
{{- range $name, $value := $known }}
{{- if and $value (not (hasKey $.Values.config $name)) }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Fails for replicas that would each have a store of their own. */}}
{{- define "llm-gateway.checkStore" -}}
{{- $replicas := ternary .Values.autoscaling.maxReplicas .Values.replicaCount .Values.autoscaling.enabled | int -}}
{{- $isShared := or .Values.redis.inSecret .Values.redis.url (get .Values.config "LLM_GATEWAY_REDIS_URL") -}}
{{- if and (gt $replicas 1) (or (not $isShared) (has (get .Values.config "LLM_GATEWAY_STORE") (list "memory" "embedded"))) -}}
{{- fail (printf "%d replicas need a store that they share: set redis.url or redis.inSecret, or run one replica (autoscaling.enabled=false, replicaCount=1)" $replicas) -}}
{{- end -}}
{{- if and (gt $replicas 1) .Values.persistence.existingClaim -}}
{{- fail "persistence.existingClaim is for one replica: a volume belongs to one process" -}}
{{- end -}}
{{- end -}}
