/**
 * The corpus: requests and responses in literal bytes, each named after its point, with what Tulle makes of it and what
 * others do. It is data (test/corpus), so that a new case is a few lines of YAML; `{120*text}` stands for text 120 times.
 */
import { readFileSync } from 'node:fs'

import { parse } from 'yaml'

import type { RawField } from '../support/raw-http2.ts'

export type Peer = 'tulle' | 'envoy' | 'haproxy' | 'nginx'

/** Statuses that the client got, in order; `-` where there was none. */
export type Outcome = Readonly<Record<Peer, string>>

export interface RequestCase {
  readonly section: string
  readonly name: string
  readonly point: string
  readonly sent: string
  readonly outcome: Outcome
  /** Why Tulle answers otherwise than Envoy; there wherever it does. */
  readonly why?: string
}

export interface ResponseCase {
  readonly section: string
  readonly name: string
  readonly point: string
  /** What the client asked; GET unless said. */
  readonly method?: string
  /** The upstream's answer to the first of two requests. */
  readonly sent: string
  /** The upstream ends the connection behind it. */
  readonly ends?: boolean
  /** What the client reads: status and body of the first response, and how the second request fared. */
  readonly outcome: Pick<Outcome, 'tulle' | 'envoy'>
  readonly why?: string
}

export interface Http2Case {
  readonly section: string
  readonly name: string
  readonly point: string
  /** Beside `:method`, `:scheme`, `:authority` and `:path`, or in their place where it holds pseudo fields. */
  readonly fields: readonly RawField[]
  readonly data?: string
  readonly trailers?: readonly RawField[]
  /** A status, `reset N` or `goaway N`, with the code of RFC 9113 §7. */
  readonly outcome: { readonly tulle: string }
}

export function requestCorpus(): readonly RequestCase[] {
  return (load('requests') as RequestCase[]).map((one) => ({ ...one, sent: expand(one.sent) }))
}

export function responseCorpus(): readonly ResponseCase[] {
  return (load('responses') as ResponseCase[]).map((one) => ({ ...one, sent: expand(one.sent) }))
}

export function http2Corpus(): readonly Http2Case[] {
  return load('http2-requests') as Http2Case[]
}

/** The shape is this file's own, and the tests read every field of it: callers say which. */
function load(name: string): unknown[] {
  const text = readFileSync(new URL(`../corpus/${name}.yaml`, import.meta.url), 'utf8')
  const sections = parse(text) as Readonly<Record<string, readonly object[]>>
  return Object.entries(sections).flatMap(([section, cases]) =>
    cases.map((one) => ({ section, ...one })),
  )
}

function expand(text: string): string {
  return text.replaceAll(/\{(\d+)\*([^}]*)\}/g, (_whole, count: string, part: string) =>
    part.repeat(Number(count)),
  )
}

export function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}
