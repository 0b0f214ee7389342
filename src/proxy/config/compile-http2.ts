/** Http2ProtocolOptions → Http2Options, with Envoy's bounds. */
import type {
  Http2ProtocolOptions,
  KeepaliveSettings,
} from '../../xds/proto/generated/envoy/config/core/v3/protocol.ts'
import { type Http2Options, type KeepaliveOptions, defaultHttp2Options } from '../http2/settings.ts'
import { type FieldReport, at, refuse } from './field-rule.ts'
import { durationMs } from './message-value.ts'

const uint31Max = 2_147_483_647

export function compileHttp2(
  options: Http2ProtocolOptions | undefined,
  report: FieldReport,
): Http2Options {
  if (options === undefined) return defaultHttp2Options
  const bounded = boundedIn(report)
  const standard = defaultHttp2Options
  return {
    hpackTableBytes: options.hpackTableSize ?? standard.hpackTableBytes,
    concurrentStreamsMax: bounded(
      'max_concurrent_streams',
      options.maxConcurrentStreams ?? standard.concurrentStreamsMax,
      [1, uint31Max],
    ),
    streamWindowBytes: bounded(
      'initial_stream_window_size',
      options.initialStreamWindowSize ?? standard.streamWindowBytes,
      [65_535, uint31Max],
    ),
    connectionWindowBytes: bounded(
      'initial_connection_window_size',
      options.initialConnectionWindowSize ?? standard.connectionWindowBytes,
      [65_535, uint31Max],
    ),
    allowsConnect: options.allowConnect,
    outboundFramesMax: bounded(
      'max_outbound_frames',
      options.maxOutboundFrames ?? standard.outboundFramesMax,
      [1, uint31Max],
    ),
    outboundControlFramesMax: bounded(
      'max_outbound_control_frames',
      options.maxOutboundControlFrames ?? standard.outboundControlFramesMax,
      [1, uint31Max],
    ),
    emptyFramesMax: options.maxConsecutiveInboundFramesWithEmptyPayload ?? standard.emptyFramesMax,
    priorityFramesPerStreamMax:
      options.maxInboundPriorityFramesPerStream ?? standard.priorityFramesPerStreamMax,
    windowUpdatesPerDataFrameMax: bounded(
      'max_inbound_window_update_frames_per_data_frame_sent',
      options.maxInboundWindowUpdateFramesPerDataFrameSent ?? standard.windowUpdatesPerDataFrameMax,
      [1, uint31Max],
    ),
    endsStreamOnInvalidMessage:
      options.overrideStreamErrorOnInvalidHttpMessage ?? options.streamErrorOnInvalidHttpMessaging,
    keepalive: compileKeepalive(options.connectionKeepalive, at(report, 'connection_keepalive')),
  }
}

type Bounded = (field: string, value: number, range: readonly [number, number]) => number

function boundedIn(report: FieldReport): Bounded {
  return (field, value, [least, most]) => {
    if (value < least || value > most) {
      refuse(at(report, field), `value must be inside range [${least}, ${most}], got ${value}`)
    }
    return value
  }
}

function compileKeepalive(
  settings: KeepaliveSettings | undefined,
  report: FieldReport,
): KeepaliveOptions | undefined {
  if (settings === undefined) return undefined
  if (settings.timeout === undefined) refuse(at(report, 'timeout'), 'value is required')
  const positive = { absentMs: 0, least: 'positive' } as const
  return {
    intervalMs: durationMs(settings.interval, positive, at(report, 'interval')),
    timeoutMs: durationMs(settings.timeout, positive, at(report, 'timeout')),
    jitterPercent: settings.intervalJitter?.value ?? 15,
    idleMs: durationMs(
      settings.connectionIdleInterval,
      positive,
      at(report, 'connection_idle_interval'),
    ),
  }
}
