/** Rules among the fields of one HTTP route: one action, one place that sets the host, what delegates may say. */
import { entriesOf } from '../schema/rule.ts'
import type { Reading, Rule } from '../schema/shape.ts'
import { fieldPath, itemPath, keyPath } from '../schema/source-node.ts'
import { isHostHeader } from './header-shape.ts'
import type { HttpRoute, RouteDestination, TlsRoute } from './virtual-service.ts'

/** Fields that each action excludes: who answers by itself has nothing to forward, delay or rewrite. */
const excludedBy = {
  redirect: ['route', 'directResponse', 'fault', 'rewrite'],
  directResponse: ['route', 'fault', 'rewrite'],
} as const

/** Exactly one of route, redirect and directResponse; a delegate stands for all of them. */
export const checkHttpAction: Rule<HttpRoute> = (value, path, reading) => {
  if (reading.isPresent(fieldPath(path, 'delegate'))) return
  for (const [action, excluded] of Object.entries(excludedBy)) {
    if (!reading.isPresent(fieldPath(path, action))) continue
    for (const name of excluded) {
      const isThere = reading.isPresent(fieldPath(path, name)) && !isEmptyList(value, name)
      if (isThere) reading.report(fieldPath(path, name), conflict(name, action))
    }
  }
  const isAnswered = Object.keys(excludedBy).some((name) =>
    reading.isPresent(fieldPath(path, name)),
  )
  if (isAnswered || !isEmptyOrAbsent(value, path, reading)) return
  reading.report(path, {
    message: 'must have one of route, redirect, directResponse',
    remedy: 'Add a route with a destination.',
  })
}

function isEmptyOrAbsent(value: Partial<HttpRoute>, path: string, reading: Reading): boolean {
  return !reading.isPresent(fieldPath(path, 'route')) || isEmptyList(value, 'route')
}

function isEmptyList(value: Partial<HttpRoute>, name: string): boolean {
  return name === 'route' && value.route?.length === 0
}

function conflict(name: string, action: string): { message: string; remedy: string } {
  return {
    message: `${name} cannot be set together with ${action}`,
    remedy: `Remove ${name} or ${action}.`,
  }
}

/** A route that delegates leaves the answer to the delegate. */
export const checkDelegateRoot: Rule<HttpRoute> = (_, path, reading) => {
  if (!reading.isPresent(fieldPath(path, 'delegate'))) return
  for (const name of ['route', 'redirect', 'directResponse']) {
    if (reading.isPresent(fieldPath(path, name))) {
      reading.report(fieldPath(path, name), conflict(name, 'delegate'))
    }
  }
}

/** The authority is set in one place: rewrite.authority, or one host header of set or add. */
export const checkAuthorityOnce: Rule<HttpRoute> = (value, path, reading) => {
  const request = fieldPath(fieldPath(path, 'headers'), 'request')
  const places = [
    ...(value.rewrite?.authority === undefined || value.rewrite.authority === ''
      ? []
      : [`${path}.rewrite.authority`]),
    ...hostKeys(value.headers?.request?.set, fieldPath(request, 'set')),
    ...hostKeys(value.headers?.request?.add, fieldPath(request, 'add')),
  ]
  const [first, ...others] = places
  for (const place of others) {
    reading.report(place, {
      message: `the authority is set already, by ${String(first)}`,
      remedy: 'Set the authority in one place.',
    })
  }
}

function hostKeys(map: Readonly<Record<string, string>> | undefined, path: string): string[] {
  return Object.keys(map ?? {})
    .filter((name) => isHostHeader(name))
    .map((name) => keyPath(path, name))
}

/** prefixRewrite replaces the prefix that matched, so every match must have one. */
export const checkPrefixRewrite: Rule<HttpRoute> = (value, path, reading) => {
  if (value.redirect?.prefixRewrite === undefined) return
  const matches = [...entriesOf(value.match)]
  const isPrefixed =
    matches.length > 0 && matches.every(([, match]) => match.uri?.prefix !== undefined)
  if (isPrefixed) return
  reading.report(`${path}.redirect.prefixRewrite`, {
    message: 'prefixRewrite needs a match with uri.prefix',
    remedy: 'Match by uri.prefix, or use redirect.uri.',
  })
}

/** Of TLS and TCP routes. */
export const checkHasRoute: Rule<Pick<TlsRoute, 'route'>> = (value, path, reading) => {
  const routes: readonly RouteDestination[] | undefined = value.route
  if (routes?.length !== 0) return
  reading.report(fieldPath(path, 'route'), {
    message: 'must have at least 1 destination, got 0',
    remedy: 'Add a destination.',
  })
}

/** Delegates (VirtualServices without hosts) may not delegate further. */
export function checkNoFurtherDelegate(
  routes: readonly HttpRoute[] | undefined,
  path: string,
  reading: Reading,
): void {
  for (const [index, route] of entriesOf(routes)) {
    if (route.delegate === undefined) continue
    reading.report(fieldPath(itemPath(path, index), 'delegate'), {
      message: 'a delegate (a VirtualService without hosts) cannot delegate',
      remedy: 'Add hosts, or give the route a destination.',
    })
  }
}
