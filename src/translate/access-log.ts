/** The mesh's access log as Envoy's file logger, with Istio's default formats. */
import type { AccessLog } from '../xds/proto/generated/envoy/config/accesslog/v3/accesslog.ts'
import { AccessLog as AccessLogCodec } from '../xds/proto/generated/envoy/config/accesslog/v3/accesslog.ts'
import { FileAccessLog } from '../xds/proto/generated/envoy/extensions/access_loggers/file/v3/file.ts'
import type { Client } from './client.ts'
import type { MeshSettings } from './input.ts'
import { packed } from './message.ts'

/** Istio's `EnvoyTextLogFormat`, one line. */
const textFormat =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% ' +
  '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% ' +
  '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ' +
  '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% ' +
  '%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% ' +
  '%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n'

/** Istio's `EnvoyJSONLogFormatIstio`. */
export const jsonFormat: Readonly<Record<string, string>> = {
  start_time: '%START_TIME%',
  route_name: '%ROUTE_NAME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER_RAW%',
  upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
}

/** Empty when the mesh logs nothing. */
export function accessLogs(
  mesh: MeshSettings,
  { keepsStdout }: Pick<Client, 'keepsStdout'>,
): AccessLog[] {
  const { accessLogFile } = mesh
  if (accessLogFile === '') return []
  const path = keepsStdout && accessLogFile === '/dev/stdout' ? '/dev/stderr' : accessLogFile
  const logger = AccessLogCodec.fromPartial({
    name: 'envoy.access_loggers.file',
    configType: {
      $case: 'typedConfig',
      value: packed(FileAccessLog, 'envoy.extensions.access_loggers.file.v3.FileAccessLog', {
        path,
        accessLogFormat: { $case: 'logFormat', value: { format: formatOf(mesh) } },
      }),
    },
  })
  return [logger]
}

function formatOf(mesh: MeshSettings) {
  if (mesh.accessLogEncoding === 'JSON') {
    return { $case: 'jsonFormat', value: customJson(mesh.accessLogFormat) ?? jsonFormat }
  }
  const line = mesh.accessLogFormat === '' ? textFormat : mesh.accessLogFormat
  const inlineString = line.endsWith('\n') ? line : `${line}\n`
  return {
    $case: 'textFormatSource',
    value: { specifier: { $case: 'inlineString', value: inlineString } },
  }
}

/** A format of the mesh's own is a JSON object; anything else falls back to the default, as in Istio. */
function customJson(text: string): object | undefined {
  if (text === '') return undefined
  try {
    const parsed: unknown = JSON.parse(text)
    const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
    return isObject ? parsed : undefined
  } catch {
    return undefined
  }
}
