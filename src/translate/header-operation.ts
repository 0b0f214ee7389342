/**
 * `headers` of a route or of one of its destinations as Envoy's header options.
 *
 * Set comes before add, each sorted by name, as Istio writes them. `Host` and `:authority` are no headers here:
 * set or added on the request they rewrite the authority; anywhere else they are dropped.
 */
import type { HeaderOperations, Headers } from '../model/istio/virtual-service.ts'
import { HeaderValueOption_HeaderAppendAction as AppendAction } from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import { compareText } from './input.ts'

export interface HeaderChanges {
  readonly requestHeadersToAdd: HeaderOption[]
  readonly requestHeadersToRemove: string[]
  readonly responseHeadersToAdd: HeaderOption[]
  readonly responseHeadersToRemove: string[]
  /** Empty: none. */
  readonly authority: string
}

interface HeaderOption {
  readonly header: { readonly key: string; readonly value: string }
  readonly appendAction: AppendAction
}

export function translateHeaders(headers: Headers | undefined): HeaderChanges {
  const { request, response } = headers ?? {}
  return {
    requestHeadersToAdd: optionsOf(request),
    requestHeadersToRemove: removalsOf(request),
    responseHeadersToAdd: optionsOf(response),
    responseHeadersToRemove: removalsOf(response),
    authority: authorityOf(request?.set) || authorityOf(request?.add),
  }
}

/** A single destination's changes follow the route's, so that what it sets wins. */
export function joinChanges(route: HeaderChanges, destination: HeaderChanges): HeaderChanges {
  return {
    requestHeadersToAdd: [...route.requestHeadersToAdd, ...destination.requestHeadersToAdd],
    requestHeadersToRemove: [
      ...route.requestHeadersToRemove,
      ...destination.requestHeadersToRemove,
    ],
    responseHeadersToAdd: [...route.responseHeadersToAdd, ...destination.responseHeadersToAdd],
    responseHeadersToRemove: [
      ...route.responseHeadersToRemove,
      ...destination.responseHeadersToRemove,
    ],
    authority: route.authority || destination.authority,
  }
}

/** The changes as fields of a Route or of a ClusterWeight. */
export function headerFields(changes: HeaderChanges): Omit<HeaderChanges, 'authority'> {
  return {
    requestHeadersToAdd: changes.requestHeadersToAdd,
    requestHeadersToRemove: changes.requestHeadersToRemove,
    responseHeadersToAdd: changes.responseHeadersToAdd,
    responseHeadersToRemove: changes.responseHeadersToRemove,
  }
}

function optionsOf(operations: HeaderOperations | undefined): HeaderOption[] {
  return [
    ...optionsWith(operations?.set, AppendAction.OVERWRITE_IF_EXISTS_OR_ADD),
    ...optionsWith(operations?.add, AppendAction.APPEND_IF_EXISTS_OR_ADD),
  ]
}

function optionsWith(
  headers: Readonly<Record<string, string>> | undefined,
  appendAction: AppendAction,
): HeaderOption[] {
  return Object.entries(headers ?? {})
    .filter(([key]) => !isReserved(key))
    .sort(([left], [right]) => compareText(left, right))
    .map(([key, value]) => ({ header: { key, value }, appendAction }))
}

function removalsOf(operations: HeaderOperations | undefined): string[] {
  return (operations?.remove ?? []).filter((key) => !isReserved(key))
}

function isReserved(key: string): boolean {
  return key.startsWith(':') || key.toLowerCase() === 'host'
}

function authorityOf(headers: Readonly<Record<string, string>> | undefined): string {
  const found = Object.entries(headers ?? {}).find(([key]) =>
    [':authority', 'host'].includes(key.toLowerCase()),
  )
  return found?.[1] ?? ''
}
