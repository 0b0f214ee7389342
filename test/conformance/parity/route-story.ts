/** A route in a virtual host of its own, and the requests that are put to it. */
import type { ParityCase } from './case-table.ts'

export interface RouteStory {
  readonly name: string
  /** Fields of the virtual host besides its name, domains and routes. */
  readonly host?: object
  /** A request that none of them takes is answered 404. */
  readonly routes: readonly object[]
  readonly asks: readonly Ask[]
}

export type Ask = Partial<Omit<ParityCase, 'name'>> & { readonly name?: string }

/** What the log of a scene of stories says of each request. */
export const storyFields = {
  status: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  details: '%RESPONSE_CODE_DETAILS%',
  route: '%ROUTE_NAME%',
  cluster: '%UPSTREAM_CLUSTER%',
  attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
  grpc: '%GRPC_STATUS_NUMBER%',
  received: '%BYTES_RECEIVED%',
  sent: '%BYTES_SENT%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  authority: '%REQ(:AUTHORITY)%',
}

export const to = { cluster: 'a' }
export const all = { prefix: '/' }

/** One route with this action. */
export function story(name: string, route: object, asks: readonly Ask[]): RouteStory {
  return { name, routes: [{ name: 'story', match: all, ...route }], asks }
}

export function forward(name: string, action: object, asks: readonly Ask[]): RouteStory {
  return story(name, { route: { ...to, ...action } }, asks)
}

export function redirect(name: string, action: object, asks: readonly Ask[]): RouteStory {
  return story(name, { redirect: action }, asks)
}

export function match(name: string, fields: object, asks: readonly Ask[]): RouteStory {
  return story(name, { match: { ...all, ...fields }, route: to }, asks)
}

export function header(matcher: object): object {
  return { headers: [matcher] }
}

export const path = (value: string): Ask => ({ path: value })
export const has = (headers: Readonly<Record<string, string>>): Ask => ({ headers })

export function adds(name: string, value: string, more: object = {}): object {
  return { header: { key: name, value }, ...more }
}

export const bodiless = 'a body of 304 would be read as the next response (RFC 9112 §6.3)'

export const grpc = { 'content-type': 'application/grpc' }

/** Names are unique with the group before them. */
export function inGroup(group: string, stories: readonly RouteStory[]): readonly RouteStory[] {
  return stories.map((one) => ({ ...one, name: `${group}: ${one.name}` }))
}

/** Host of a story's virtual host, which is there with some ports too. */
function hostOf(name: string): string {
  return `${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}.test`
}

const ports = [80, 123, 443, 8080]

/** One virtual host for each story. */
export function storyHosts(stories: readonly RouteStory[]): readonly object[] {
  return stories.map(({ name, host, routes }) => {
    const domain = hostOf(name)
    const domains = [domain, ...ports.map((port) => `${domain}:${port}`)]
    return { name, domains, ...host, routes }
  })
}

/** A host that begins with a colon is a port behind the story's own. */
export function storyCases(stories: readonly RouteStory[]): readonly ParityCase[] {
  return stories.flatMap(({ name, asks }) =>
    asks.map((ask, index): ParityCase => {
      const host = `${hostOf(name)}${ask.host ?? ''}`
      const own = `${name} ${index}`
      const raw = ask.raw?.replaceAll('$HOST', host).replaceAll('$CASE', own)
      return { ...ask, host, name: own, ...(raw !== undefined && { raw }) }
    }),
  )
}
