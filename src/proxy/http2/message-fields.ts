/**
 * The fields of one message while they are decoded: pseudo fields aside, cookies joined, the rest in order, and the
 * first rule of RFC 9113 §8 that is broken. What is too much is counted and not kept (Envoy `max_request_headers_kb`,
 * `max_headers_count`: names and values as they are after decompression, cookies included; CVE-2026-47774).
 */
import { unreachable } from '../../lib/assert.ts'
import { HeaderList } from '../http/header-list.ts'
import { parseContentLength } from '../http1/field-rule.ts'
import type { FieldSink } from './hpack/decoder.ts'
import type { FieldName } from './hpack/field-name.ts'

/** Why a message is malformed (§8.1.1), by name. */
export type Malformed =
  | 'pseudo-unknown'
  | 'pseudo-duplicate'
  | 'pseudo-late'
  | 'pseudo-missing'
  | 'pseudo-in-trailers'
  | 'header-name'
  | 'header-value'
  | 'connection-header'
  | 'te'
  | 'content-length'
  | 'method'
  | 'scheme'
  | 'path'
  | 'authority'
  | 'protocol'
  | 'status'
  | 'body-length'
  | 'trailers-open'
  | 'underscore'

export interface FieldLimits {
  readonly headBytesMax: number
  readonly headersCountMax: number
}

export interface FieldRules {
  readonly limits: FieldLimits
  readonly underscores: 'allow' | 'reject' | 'drop'
  /** Pseudo fields that may occur, and where their values go. */
  readonly pseudo: ReadonlyMap<string, keyof PseudoFields>
  readonly onUnderscoreDropped?: () => void
}

/** §8.3: those of a request and of a response. */
export interface PseudoFields {
  method: string | undefined
  scheme: string | undefined
  authority: string | undefined
  path: string | undefined
  protocol: string | undefined
  status: string | undefined
}

export class MessageFields implements FieldSink {
  readonly #rules: FieldRules
  headers = new HeaderList()
  pseudo: PseudoFields = noPseudo()
  malformed: Malformed | undefined
  isTooLarge = false
  contentLength = -1
  host: string | undefined
  #cookies: string | undefined
  #cookieAt = -1
  #bytes = 0
  #count = 0
  #isTrailers = false

  constructor(rules: FieldRules) {
    this.#rules = rules
  }

  /** Makes ready for the next block. */
  begin(isTrailers: boolean): void {
    this.headers = new HeaderList()
    this.pseudo = noPseudo()
    this.malformed = undefined
    this.isTooLarge = false
    this.contentLength = -1
    this.host = undefined
    this.#cookies = undefined
    this.#cookieAt = -1
    this.#bytes = 0
    this.#count = 0
    this.#isTrailers = isTrailers
  }

  /** The block is complete. */
  finish(): void {
    if (this.#cookies !== undefined && this.#cookieAt !== -1) {
      this.headers.fields[this.#cookieAt] = this.#cookies
    }
  }

  onField(name: FieldName, value: string, isValueValid: boolean): void {
    if (this.isTooLarge || this.malformed !== undefined) return
    const { limits } = this.#rules
    this.#bytes += name.text.length + value.length
    this.#count += 1
    if (this.#bytes > limits.headBytesMax || this.#count > limits.headersCountMax) {
      this.isTooLarge = true
      return
    }
    if (!isValueValid) this.malformed = 'header-value'
    else this.malformed = this.#take(name, value)
  }

  // One branch per kind of field; splitting it would hide that the list is closed.
  // oxlint-disable-next-line complexity
  #take(name: FieldName, value: string): Malformed | undefined {
    switch (name.kind) {
      case 'other':
        return name.hasUnderscore
          ? this.#takeUnderscore(name.text, value)
          : this.#append(name, value)
      case 'pseudo':
        return this.#takePseudo(name.text, value)
      case 'invalid':
        return 'header-name'
      case 'connection':
        return 'connection-header'
      case 'hop':
        return undefined
      case 'te':
        if (value.toLowerCase() !== 'trailers') return 'te'
        return this.#append(name, 'trailers')
      case 'host':
        if (this.host !== undefined && this.host !== value) return 'authority'
        this.host = value
        return undefined
      case 'cookie':
        this.#takeCookie(value)
        return undefined
      case 'content-length':
        if (this.contentLength !== -1 || this.#isTrailers) return 'content-length'
        this.contentLength = parseContentLength(value)
        return this.contentLength === -1 ? 'content-length' : this.#append(name, value)
      default:
        return unreachable(name.kind)
    }
  }

  #append(name: FieldName, value: string): undefined {
    this.headers.append(name.text, value)
  }

  #takePseudo(name: string, value: string): Malformed | undefined {
    if (this.#isTrailers) return 'pseudo-in-trailers'
    if (this.headers.size > 0 || this.host !== undefined || this.#cookieAt !== -1) {
      return 'pseudo-late'
    }
    const place = this.#rules.pseudo.get(name)
    if (place === undefined) return 'pseudo-unknown'
    if (this.pseudo[place] !== undefined) return 'pseudo-duplicate'
    this.pseudo[place] = value
    return undefined
  }

  /** §8.2.3: crumbs are one field for whoever speaks HTTP/1.1. */
  #takeCookie(value: string): void {
    if (this.#cookies === undefined) {
      this.#cookies = value
      this.headers.append('cookie', value)
      this.#cookieAt = this.headers.fields.length - 1
      return
    }
    this.#cookies += `; ${value}`
  }

  #takeUnderscore(name: string, value: string): Malformed | undefined {
    switch (this.#rules.underscores) {
      case 'allow':
        this.headers.append(name, value)
        return undefined
      case 'drop':
        this.#rules.onUnderscoreDropped?.()
        return undefined
      case 'reject':
        return 'underscore'
      default:
        return unreachable(this.#rules.underscores)
    }
  }
}

function noPseudo(): PseudoFields {
  return {
    method: undefined,
    scheme: undefined,
    authority: undefined,
    path: undefined,
    protocol: undefined,
    status: undefined,
  }
}
