/** What we read of HTTP/2 options, on listeners and on clusters alike. */
import { type MessageRule, ignored, refusedField, used } from './field-rule.ts'

export const http2Rule: MessageRule = {
  type: 'envoy.config.core.v3.Http2ProtocolOptions',
  fields: {
    hpackTableSize: used(),
    maxConcurrentStreams: used(),
    initialStreamWindowSize: used(undefined, '1 MiB unless set (Envoy: 16 MiB)'),
    initialConnectionWindowSize: used(undefined, '16 MiB unless set (Envoy: 24 MiB)'),
    allowConnect: used(),
    allowMetadata: refusedField('METADATA frames are not implemented', false),
    maxOutboundFrames: used(),
    maxOutboundControlFrames: used(),
    maxConsecutiveInboundFramesWithEmptyPayload: used(),
    maxInboundPriorityFramesPerStream: used(),
    maxInboundWindowUpdateFramesPerDataFrameSent: used(),
    streamErrorOnInvalidHttpMessaging: used(),
    overrideStreamErrorOnInvalidHttpMessage: used(),
    customSettingsParameters: refusedField('SETTINGS of one’s own are not implemented'),
    connectionKeepalive: used({
      type: 'envoy.config.core.v3.KeepaliveSettings',
      fields: {
        interval: used(),
        timeout: used(),
        intervalJitter: used({
          type: 'envoy.type.v3.Percent',
          fields: { value: used() },
        }),
        connectionIdleInterval: used(),
      },
    }),
    useOghttp2Codec: ignored('there is one codec, and it is our own'),
  },
}
