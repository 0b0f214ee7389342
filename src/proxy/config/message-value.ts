/**
 * Reads the small values that many messages share: durations, addresses, typed extensions. Each says what was wrong
 * in the words of Envoy's own validation, with the path of the field.
 */
import {
  type Address,
  SocketAddress_Protocol,
} from '../../xds/proto/generated/envoy/config/core/v3/address.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import type { Duration } from '../../xds/proto/generated/google/protobuf/duration.ts'
import type { WireAddress } from '../wire/wire.ts'
import { type FieldReport, at, refuse, showValue } from './field-rule.ts'

export interface DurationRule {
  /** Used when the field is absent. */
  readonly absentMs: number
  /** Envoy's validation: 'positive' refuses 0 where Envoy does. */
  readonly least?: 'zero' | 'positive'
}

/** Envoy counts nanoseconds in 64 bits. */
const secondsMax = 9_223_372_035

/** Milliseconds of a duration; a fraction of a millisecond is kept. */
export function durationMs(
  value: Duration | undefined,
  rule: DurationRule,
  report: FieldReport,
): number {
  if (value === undefined) return rule.absentMs
  if (value.seconds > secondsMax) {
    refuse(report, `duration out of range, at most ${secondsMax}s is possible`)
    return rule.absentMs
  }
  const ms = value.seconds * 1000 + value.nanos / 1_000_000
  if (ms < 0 || (ms === 0 && rule.least === 'positive')) {
    refuse(
      report,
      `value must be greater than ${ms < 0 ? 'or equal to ' : ''}0s, got ${ms / 1000}s`,
    )
    return rule.absentMs
  }
  return ms
}

/** Refuses a number that the enum has no name for, as Envoy's validation does. */
export function checkEnum(
  value: number,
  names: Readonly<Record<string, number>>,
  report: FieldReport,
): void {
  if (!Object.values(names).includes(value)) {
    refuse(report, `value must be one of the defined enum values, got ${value}`)
  }
}

/** An address without a name to resolve: an IP, a pipe, or a listener in this process. */
export function wireAddress(
  value: Address | undefined,
  report: FieldReport,
): WireAddress | undefined {
  const address = value?.address
  if (address?.$case === 'socketAddress') {
    return socketWireAddress(address.value, at(report, 'socket_address'))
  }
  if (address?.$case === 'pipe') return pipeAddress(address.value.path, report)
  if (address === undefined) {
    refuse(report, 'address is required')
    return undefined
  }
  const listener = address.value.addressNameSpecifier?.value ?? ''
  if (listener !== '') return { kind: 'internal', listener }
  refuse(at(report, 'envoy_internal_address'), 'server_listener_name is required')
  return undefined
}

interface SocketAddressLike {
  readonly protocol: number
  readonly address: string
  readonly portSpecifier:
    | { $case: 'portValue'; value: number }
    | { $case: 'namedPort'; value: string }
    | undefined
  readonly resolverName: string
}

/** Host and port of a socket address, checked; the host may be a name. */
export function socketHostPort(
  value: SocketAddressLike,
  report: FieldReport,
): { readonly host: string; readonly port: number } | undefined {
  if (value.protocol === SocketAddress_Protocol.UDP) {
    refuse(at(report, 'protocol'), 'UDP is not implemented')
    return undefined
  }
  if (value.resolverName !== '') {
    refuse(at(report, 'resolver_name'), `no resolver named ${showValue(value.resolverName)}`)
    return undefined
  }
  if (value.address === '') {
    refuse(at(report, 'address'), 'value length must be at least 1 characters')
    return undefined
  }
  if (value.portSpecifier?.$case === 'namedPort') {
    refuse(at(report, 'named_port'), 'not implemented')
    return undefined
  }
  const port = value.portSpecifier?.value
  if (port === undefined) {
    refuse(at(report, 'port_specifier'), 'is required')
    return undefined
  }
  if (port > 65_535) {
    refuse(at(report, 'port_value'), `value must be less than or equal to 65535, got ${port}`)
    return undefined
  }
  return { host: value.address, port }
}

function socketWireAddress(value: SocketAddressLike, report: FieldReport): WireAddress | undefined {
  const target = socketHostPort(value, report)
  if (target === undefined) return undefined
  if (!isIp(target.host)) {
    refuse(at(report, 'address'), `malformed IP address: ${target.host}`)
    return undefined
  }
  return { kind: 'ip', address: target.host, port: target.port }
}

function pipeAddress(path: string, report: FieldReport): WireAddress | undefined {
  if (path === '') {
    refuse(at(report, 'pipe', 'path'), 'value length must be at least 1 characters')
    return undefined
  }
  return { kind: 'unix', path }
}

const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|$)){4}$/
const ipv6 = /^[0-9a-f:.]*:[0-9a-f:.]*$/i

/** Whether `host` is a literal IPv4 or IPv6 address. Shape only: the kernel refuses what is not one. */
export function isIp(host: string): boolean {
  return (ipv4.test(host) && !host.endsWith('.')) || ipv6.test(host)
}

/** `ip:port` with brackets round IPv6, `unix:path`, or `envoy://listener`. Envoy prints a pipe as its bare path. */
export function addressText(address: WireAddress): string {
  if (address.kind === 'internal') return `envoy://${address.listener}/`
  if (address.kind === 'unix') return address.path
  const host = address.address.includes(':') ? `[${address.address}]` : address.address
  return `${host}:${address.port}`
}

/** Decodes a typed extension; a message that is not of its type gives a reason and undefined. */
export function decodeTyped<T>(
  any: Any,
  codec: { decode(bytes: Uint8Array): T },
  report: FieldReport,
): T | undefined {
  try {
    return codec.decode(any.value)
  } catch (error) {
    refuse(
      report,
      `cannot be read as ${any.typeUrl}: ${error instanceof Error ? error.message : String(error)}`,
    )
    return undefined
  }
}
