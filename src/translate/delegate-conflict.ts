/** Whether a delegate's match could take requests that the delegating route's match does not: Istio's own rules. */
import type { HttpMatchRequest, StringMatch } from '../model/istio/virtual-service.ts'

type Matches = Readonly<Record<string, StringMatch>> | undefined

export function isMatchConflict(root: HttpMatchRequest, leaf: HttpMatchRequest): boolean {
  return (
    (['uri', 'scheme', 'method', 'authority'] as const).some((field) =>
      isTextConflict(root[field], leaf[field]),
    ) ||
    (['headers', 'withoutHeaders', 'queryParams'] as const).some((field) =>
      isMapConflict(root[field], leaf[field]),
    ) ||
    isPlaceConflict(root, leaf)
  )
}

function isMapConflict(root: Matches, leaf: Matches): boolean {
  return Object.entries(leaf ?? {}).some(([name, match]) => isTextConflict(root?.[name], match))
}

function isPlaceConflict(root: HttpMatchRequest, leaf: HttpMatchRequest): boolean {
  return (
    (root.ignoreUriCase ?? false) !== (leaf.ignoreUriCase ?? false) ||
    isPortConflict(root.port ?? 0, leaf.port ?? 0) ||
    isNamespaceConflict(root.sourceNamespace ?? '', leaf) ||
    isLabelConflict(root, leaf) ||
    isGatewayConflict(root.gateways ?? [], leaf.gateways ?? [])
  )
}

function isPortConflict(root: number, leaf: number): boolean {
  return root !== 0 && leaf !== 0 && root !== leaf
}

/** A delegate has to repeat it. */
function isNamespaceConflict(root: string, leaf: HttpMatchRequest): boolean {
  return root !== '' && leaf.sourceNamespace !== root
}

function isLabelConflict(root: HttpMatchRequest, leaf: HttpMatchRequest): boolean {
  return Object.entries(leaf.sourceLabels ?? {}).some(([key, value]) => {
    const wanted = root.sourceLabels?.[key]
    return wanted !== undefined && wanted !== value
  })
}

function isGatewayConflict(root: readonly string[], leaf: readonly string[]): boolean {
  if (root.length === 0 || leaf.length === 0) return false
  return leaf.some((name) => !root.includes(name))
}

/** A regular expression agrees with nothing but the absence of a match, and so does the mere presence of a value. */
function isTextConflict(root: StringMatch | undefined, leaf: StringMatch | undefined): boolean {
  if (root === undefined || leaf === undefined) return false
  if (isWritten(root.regex) || isWritten(leaf.regex)) return true
  if (isWritten(root.exact)) return isWritten(leaf.prefix) || leaf.exact !== root.exact
  if (!isWritten(root.prefix)) return true
  const text = isWritten(leaf.prefix) ? leaf.prefix : leaf.exact
  return !isWritten(text) || !text.startsWith(root.prefix)
}

function isWritten(text: string | undefined): text is string {
  return text !== undefined && text !== ''
}
