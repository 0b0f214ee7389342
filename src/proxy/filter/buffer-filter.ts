/**
 * Waits for the whole request before it goes on (Envoy `envoy.filters.http.buffer`), and answers 413 to one that is
 * larger than allowed. What came in chunks leaves with its length.
 */
import {
  Buffer as BufferMessage,
  BufferPerRoute,
} from '../../xds/proto/generated/envoy/extensions/filters/http/buffer/v3/buffer.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import {
  type FieldReport,
  type MessageRule,
  at,
  checkFields,
  refuse,
  used,
} from '../config/field-rule.ts'
import { decodeTyped } from '../config/message-value.ts'
import type { FilterContext, FilterVerdict, HttpFilter } from './http-filter.ts'
import type { RouteFilterConfig } from './route-config.ts'

export interface BufferSettings extends RouteFilterConfig {
  readonly kind: 'buffer'
  /** Undefined: switched off here. */
  readonly bytesMax: number | undefined
}

export const bufferRule: MessageRule = {
  type: 'envoy.extensions.filters.http.buffer.v3.Buffer',
  fields: { maxRequestBytes: used() },
}

export const bufferPerRouteRule: MessageRule = {
  type: 'envoy.extensions.filters.http.buffer.v3.BufferPerRoute',
  fields: { disabled: used(), buffer: used(bufferRule) },
}

export function compileBuffer(any: Any, report: FieldReport): BufferSettings | undefined {
  const message = decodeTyped(any, BufferMessage, report)
  if (message === undefined) return undefined
  checkFields(message, bufferRule, report)
  return settingsOf(message, report)
}

export function compileBufferPerRoute(any: Any, report: FieldReport): BufferSettings | undefined {
  const message = decodeTyped(any, BufferPerRoute, report)
  if (message === undefined) return undefined
  checkFields(message, bufferPerRouteRule, report)
  switch (message.override?.$case) {
    case 'disabled':
      if (message.override.value) return { kind: 'buffer', bytesMax: undefined }
      refuse(at(report, 'disabled'), 'value must equal true')
      return undefined
    case 'buffer':
      return settingsOf(message.override.value, at(report, 'buffer'))
    case undefined:
    default:
      refuse(at(report, 'override'), 'is required')
      return undefined
  }
}

function settingsOf({ maxRequestBytes = 0 }: BufferMessage, report: FieldReport): BufferSettings {
  if (maxRequestBytes < 1) refuse(at(report, 'max_request_bytes'), 'value must be greater than 0')
  return { kind: 'buffer', bytesMax: maxRequestBytes }
}

export interface BufferFilterOptions {
  readonly name: string
  readonly settings: BufferSettings
  readonly isOffByDefault: boolean
}

export class BufferFilter implements HttpFilter {
  readonly name: string
  readonly isOffByDefault: boolean
  readonly #settings: BufferSettings
  /** Exchanges whose request is not whole, and what of it may still come. */
  readonly #waiting = new Map<FilterContext, number>()

  constructor(options: BufferFilterOptions) {
    this.name = options.name
    this.isOffByDefault = options.isOffByDefault
    this.#settings = options.settings
  }

  onRequest(context: FilterContext): FilterVerdict {
    const { bytesMax } = this.#settingsOf(context)
    if (bytesMax === undefined || context.record.requestEndMs !== 0) return 'continue'
    const { method, upgrade } = context.request
    if (method === 'CONNECT' || upgrade !== undefined) return 'continue'
    this.#waiting.set(context, bytesMax)
    context.holdRequest?.(bytesMax)
    return 'suspend'
  }

  onRequestData(context: FilterContext, bytes: number): void {
    const left = this.#waiting.get(context)
    if (left === undefined) return
    if (bytes <= left) {
      this.#waiting.set(context, left - bytes)
      return
    }
    this.#waiting.delete(context)
    context.resume({ failure: 'payload-too-large' })
  }

  onRequestEnd(context: FilterContext): void {
    if (!this.#waiting.delete(context)) return
    const { request, record } = context
    if (request.bodyLength === 'until-end') request.bodyLength = record.bytesReceived
    context.resume()
  }

  onEnd(context: FilterContext): void {
    if (this.#waiting.size !== 0) this.#waiting.delete(context)
  }

  #settingsOf(context: FilterContext): BufferSettings {
    const said = context.filterConfig(this.name)
    const isBuffer = typeof said === 'object' && said.kind === 'buffer'
    return isBuffer ? (said as BufferSettings) : this.#settings // of that kind
  }
}
