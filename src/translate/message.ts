/** Small protobuf values that many resources hold: durations, packed extensions, sources of configuration. */
import { durationMs } from '../model/duration.ts'
import { pack, type MessageCodec } from '../xds/any.ts'
import { Address } from '../xds/proto/generated/envoy/config/core/v3/address.ts'
import type { ConfigSource } from '../xds/proto/generated/envoy/config/core/v3/config_source.ts'
import { ApiVersion } from '../xds/proto/generated/envoy/config/core/v3/config_source.ts'
import type { Duration } from '../xds/proto/generated/google/protobuf/duration.ts'

export function durationOf(milliseconds: number): Duration {
  const seconds = Math.floor(milliseconds / 1000)
  return { seconds, nanos: Math.round((milliseconds - seconds * 1000) * 1e6) }
}

/** Of a duration as configuration writes it; absent stays absent. */
export function durationOfText(text: string): Duration
export function durationOfText(text: string | undefined): Duration | undefined
export function durationOfText(text: string | undefined): Duration | undefined {
  return text === undefined ? undefined : durationOf(durationMs(text))
}

export const noTimeout: Duration = { seconds: 0, nanos: 0 }

/** An extension's configuration under the name of its protobuf type. */
export function packed<T>(
  codec: MessageCodec<T> & { fromPartial(partial: object): T },
  typeName: string,
  partial: object,
) {
  return pack(typeName, codec, codec.fromPartial(partial))
}

/** Resources that come over the same ADS stream, without a time limit, as Istio asks for them. */
export function adsSource(): ConfigSource {
  return {
    authorities: [],
    configSourceSpecifier: { $case: 'ads', value: {} },
    initialFetchTimeout: noTimeout,
    resourceApiVersion: ApiVersion.V3,
  }
}

export function socketAddress(address: string, port: number): Address {
  return Address.fromPartial({
    address: {
      $case: 'socketAddress',
      value: { address, portSpecifier: { $case: 'portValue', value: port } },
    },
  })
}
