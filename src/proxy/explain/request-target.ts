/** A method and a URL as the head that a sidecar would read of it. */
import { MeshError } from '../../lib/mesh-error.ts'
import { hostOf, parseAuthority, portOf } from '../http/authority.ts'
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'

export interface RequestTarget {
  readonly host: string
  readonly port: number
  /** The client speaks TLS: what it says inside is nobody's to read. */
  readonly isTls: boolean
  /** A new one each time: what explains a request changes it. */
  head(form: RequestForm): RequestHead
}

/** Whether the whole URL is in the request line, as a proxy gets it, or its path only. */
export type RequestForm = 'absolute' | 'origin'

export type HeaderField = readonly [name: string, value: string]

export interface RequestLine {
  readonly method: string
  /** `http://host:port/path?query`; `https` means a CONNECT to its host. */
  readonly url: string
  readonly headers: readonly HeaderField[]
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** Rejections: MESH_USAGE. */
export function requestTarget({ method, url, headers }: RequestLine): RequestTarget {
  if (!token.test(method)) throw usage(`${JSON.stringify(method)} is no method`, 'write GET, say')
  for (const [name] of headers) {
    if (!token.test(name)) throw usage(`${JSON.stringify(name)} is no name of a header`)
  }
  const { isTls, authority, path } = readUrl(url)
  const port = portOf(authority) ?? (isTls ? 443 : 80)
  const isTunnel = isTls || method === 'CONNECT'
  return {
    host: hostOf(authority),
    port,
    isTls,
    head: (form) => headOf({ method, url: { authority, port, path }, isTunnel, headers }, form),
  }
}

function readUrl(url: string): { isTls: boolean; authority: string; path: string } {
  const [, scheme = '', written = '', rest = ''] = /^(https?):\/\/([^/?#]*)([^#]*)/i.exec(url) ?? []
  if (scheme === '') {
    throw usage(`${JSON.stringify(url)} is no URL of HTTP`, 'write http://host:port/path')
  }
  const authority = parseAuthority(written)
  if (authority === undefined) {
    throw usage(`${JSON.stringify(written)} is no host with a port`, 'write http://host:port/path')
  }
  const path = rest.startsWith('/') ? rest : `/${rest}`
  return { isTls: scheme.toLowerCase() === 'https', authority, path }
}

interface HeadParts {
  readonly method: string
  readonly url: { readonly authority: string; readonly port: number; readonly path: string }
  readonly isTunnel: boolean
  readonly headers: readonly HeaderField[]
}

function headOf({ method, url, isTunnel, headers }: HeadParts, form: RequestForm): RequestHead {
  const fields = new HeaderList()
  let { authority } = url
  for (const [name, value] of headers) {
    if (name.toLowerCase() !== 'host') fields.append(name.toLowerCase(), value.trim())
    // RFC 9112 §3.2.2: a proxy that is given a whole URL ignores Host.
    else if (form === 'origin') authority = parseAuthority(value.trim()) ?? authority
  }
  const hasPort = portOf(url.authority) !== undefined
  return {
    method: isTunnel ? 'CONNECT' : method,
    path: isTunnel ? '' : url.path,
    authority: isTunnel && !hasPort ? `${url.authority}:${url.port}` : authority,
    scheme: 'http',
    hasScheme: form !== 'origin',
    protocol: 'HTTP/1.1',
    headers: fields,
    bodyLength: 0,
    upgrade: undefined,
    wantsClose: false,
  }
}

function usage(message: string, remedy?: string): MeshError {
  return new MeshError('MESH_USAGE', message, remedy === undefined ? {} : { remedy })
}
