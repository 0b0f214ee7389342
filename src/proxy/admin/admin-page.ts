/** What a page of the admin interface is: a path, who may call it, and a function from the query to an answer. */

export interface AdminReply {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

export interface AdminParameter {
  readonly name: string
  readonly help: string
}

export interface AdminPage {
  readonly path: string
  readonly help: string
  /** A page that changes something answers POST only. */
  readonly mutates: boolean
  readonly parameters: readonly AdminParameter[]
  run(query: URLSearchParams): AdminReply | Promise<AdminReply>
}

export interface AdminPageOptions {
  readonly path: string
  readonly help: string
  readonly mutates?: boolean
  readonly parameters?: readonly AdminParameter[]
  readonly run: AdminPage['run']
}

export function adminPage(options: AdminPageOptions): AdminPage {
  return { mutates: false, parameters: [], ...options }
}

export function textReply(body: string, status = 200): AdminReply {
  return { status, contentType: 'text/plain; charset=UTF-8', body }
}

/** Indented by one blank, as Envoy's printer does. */
export function jsonReply(value: unknown): AdminReply {
  return {
    status: 200,
    contentType: 'application/json',
    body: `${JSON.stringify(value, undefined, 1)}\n`,
  }
}

export function htmlReply(body: string): AdminReply {
  return { status: 200, contentType: 'text/html; charset=UTF-8', body }
}

/** Whether a parameter is there at all: `?usedonly` has no value. `false` and `0` switch it off. */
export function isSet(query: URLSearchParams, name: string): boolean {
  const value = query.get(name)
  return value !== null && value !== 'false' && value !== '0'
}
