/**
 * Header operations of routes and destinations. Values are Envoy's format strings (`%REQ(x)%`, a literal per cent
 * sign is `%%`); the host can be changed in a request's `set` or `add` only.
 */
import { isHeaderName } from '../schema/http-format.ts'
import { clip, list, mapOf, object, text } from '../schema/shape.ts'
import type { Check, Problem, Shape } from '../schema/shape.ts'
import type { HeaderOperations, Headers } from './virtual-service.ts'

export function headers(): Shape<Headers> {
  return object<Headers>({
    request: object<HeaderOperations>({
      set: mapOf(text(headerValue), headerNameOrHost),
      add: mapOf(text(headerValue), headerNameOrHost),
      remove: list(text(headerNameNotHost)),
    }),
    response: object<HeaderOperations>({
      set: mapOf(text(headerValue), headerNameNotHost),
      add: mapOf(text(headerValue), headerNameNotHost),
      remove: list(text(headerNameNotHost)),
    }),
  })
}

export function isHostHeader(name: string): boolean {
  const lower = name.toLowerCase()
  return lower === 'host' || lower === ':authority'
}

const headerNameOrHost: Check<string> = (name) => (isHostHeader(name) ? undefined : checkName(name))

const headerNameNotHost: Check<string> = (name) => {
  if (!isHostHeader(name)) return checkName(name)
  return {
    message: `the host cannot be changed here, got "${name}"`,
    remedy: 'Set the host under headers.request.set, or with rewrite.authority.',
  }
}

function checkName(name: string): Problem | undefined {
  if (isHeaderName(name)) return undefined
  if (name.startsWith(':')) {
    return {
      message: `pseudo headers cannot be changed, got "${clip(name)}"`,
      remedy: 'Use rewrite to change the path or the authority.',
    }
  }
  return {
    message: `must be a header name, got "${clip(name)}"`,
    remedy: 'Use a header name such as x-user.',
  }
}

export const headerValue: Check<string> = (value) => {
  // RFC 9110 §5.5: no control characters but the tab.
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)) {
    return {
      message: `must be a header value without control characters, got ${JSON.stringify(clip(value))}`,
      remedy: 'Remove line ends and other control characters.',
    }
  }
  const fault = formatFault(value)
  if (fault === undefined) return undefined
  return {
    message: `${fault} in "${clip(value)}"`,
    remedy: 'Write a variable as %NAME% or %NAME(argument)%, and a per cent sign as %%.',
  }
}

/** `%%`, `%NAME%`, `%NAME(argument)%`; what stands in the argument is Envoy's to judge. */
const escapeOrVariable = /%|[^%(]+(?:\((?:[^\\)]|\\[\s\S])*\) *)?%/y

/** What is wrong with an Envoy format string. */
function formatFault(value: string): string | undefined {
  let at = value.indexOf('%')
  while (at >= 0) {
    escapeOrVariable.lastIndex = at + 1
    if (!escapeOrVariable.test(value)) return 'a "%" that begins no variable'
    at = value.indexOf('%', escapeOrVariable.lastIndex)
  }
  return undefined
}
