/**
 * Parts of route configurations, with what Envoy 1.40 says of each (verdicts.yaml). Many are the cases of Envoy's own tests
 * of its route configuration, header formatter and retry policy: the facts are Envoy's, the tables are ours.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { parse } from 'yaml'

/** `stricter`: Envoy accepts, and we refuse; differences-from-envoy.md or envoy-fields.md says why. */
export type RouteVerdict = 'accepted' | 'refused' | 'stricter'

export interface VerdictRow {
  readonly name: string
  readonly verdict: RouteVerdict
  /** A whole RouteConfiguration. */
  readonly table: object
}

/** Text of one character, many times: `a×5`. */
const repeated = /^(.)×(\d+)$/u

const all = { prefix: '/' }
const to = { cluster: 'c' }

function tableOf(host: object): object {
  const base = { name: 'h', domains: ['*'], routes: [{ match: all, route: to }] }
  return { virtual_hosts: [{ ...base, ...host }] }
}

const ofRoute = (route: object): object => tableOf({ routes: [route] })
const ofMatch = (match: object): object => ofRoute({ match, route: to })
const ofAction = (action: object): object => ofRoute({ match: all, route: { ...to, ...action } })
const ofHeader = (header: object): object => ofMatch({ ...all, headers: [header] })
const ofAdded = (added: object): object => tableOf({ request_headers_to_add: [added] })

const extension = 'type.googleapis.com/envoy.extensions.path'

function ofTemplate([template, rewrite]: readonly string[]): object {
  const path_match_policy = {
    name: 'match',
    typed_config: {
      '@type': `${extension}.match.uri_template.v3.UriTemplateMatchConfig`,
      path_template: template,
    },
  }
  const path_rewrite_policy = {
    name: 'rewrite',
    typed_config: {
      '@type': `${extension}.rewrite.uri_template.v3.UriTemplateRewriteConfig`,
      path_template_rewrite: rewrite,
    },
  }
  const route = rewrite === undefined ? to : { ...to, path_rewrite_policy }
  return ofRoute({ match: { path_match_policy }, route })
}

function ofDomains(hosts: readonly (readonly string[])[]): object {
  const virtual_hosts = hosts.map((domains, index) => ({ name: `h${index}`, domains }))
  return { virtual_hosts }
}

/** By the name of a group: what a part of it is put into. */
// oxlint-disable-next-line no-explicit-any
const places: Readonly<Record<string, (part: any) => object>> = {
  table: (part: object) => ({ ...tableOf({}), ...part }),
  host: tableOf,
  domains: ofDomains,
  route: ofRoute,
  match: ofMatch,
  header: ofHeader,
  string: (string_match: object) => ofHeader({ name: 'x', string_match }),
  query: (query: object) => ofMatch({ ...all, query_parameters: [query] }),
  action: ofAction,
  target: (route: object) => ofRoute({ match: all, route }),
  split: (clusters: object) => ofRoute({ match: all, route: { weighted_clusters: { clusters } } }),
  retry: (retry_policy: object) => ofAction({ retry_policy }),
  hash: (policy: object) => ofAction({ hash_policy: [policy] }),
  redirect: (redirect: object) => ofRoute({ match: all, redirect }),
  direct: (direct_response: object) => ofRoute({ match: all, direct_response }),
  added: ofAdded,
  value: (value: string) => ofAdded({ header: { key: 'x', value } }),
  template: ofTemplate,
}

function expand(_key: string, value: unknown): unknown {
  const found = typeof value === 'string' ? repeated.exec(value) : null
  return found === null ? value : (found[1] ?? '').repeat(Number(found[2]))
}

function readRows(): readonly VerdictRow[] {
  const text = readFileSync(join(import.meta.dirname, 'verdicts.yaml'), 'utf8')
  const groups = parse(text) as Record<string, readonly Record<RouteVerdict, unknown>[]> // ours
  return Object.entries(groups).flatMap(([place, rows]) => {
    const put = places[place]
    if (put === undefined) throw new Error(`no place ${place}`)
    return rows.map((row): VerdictRow => {
      const [[verdict, part] = []] = Object.entries(row)
      const table = put(JSON.parse(JSON.stringify(part), expand))
      // The only keys of a row.
      return { name: `${place} ${JSON.stringify(part)}`, verdict: verdict as RouteVerdict, table }
    })
  })
}

export const verdictRows: readonly VerdictRow[] = readRows()
