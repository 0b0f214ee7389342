/** Policies of redirects that routes follow themselves: what is taken, what is refused, and where a request has been. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { envoyMessage } from '../../../test/support/envoy-message.ts'
import { HeaderList } from '../http/header-list.ts'
import { compileRouteConfiguration } from './compile-route-configuration.ts'
import type { InternalRedirectPolicy } from './internal-redirect.ts'

const ext = 'type.googleapis.com/envoy.extensions.internal_redirect'
const at = 'virtual_hosts[0].routes[0].route'

function compile(fields: object) {
  const routes = [{ match: { prefix: '/' }, route: { cluster: 'c', ...fields } }]
  const virtualHosts = [{ name: 'v', domains: ['*'], routes }]
  return compileRouteConfiguration(
    envoyMessage.routes(JSON.stringify({ name: 'r', virtual_hosts: virtualHosts })),
  )
}

function policyOf(fields: object): InternalRedirectPolicy | undefined {
  const result = compile(fields)
  assert.ok(result.ok, result.ok ? '' : result.reasons.join('\n'))
  const entry = result.value.match({
    method: 'GET',
    path: '/',
    authority: 'a',
    scheme: 'http',
    protocol: 'HTTP/1.1',
    headers: new HeaderList(),
    bodyLength: 0,
    upgrade: undefined,
    wantsClose: false,
  })
  const action = entry?.route.action
  return action?.kind === 'forward' ? action.forward.internalRedirect : undefined
}

test('without a policy no redirect is followed', () => {
  assert.equal(policyOf({}), undefined)
  assert.equal(policyOf({ internal_redirect_action: 'PASS_THROUGH_INTERNAL_REDIRECT' }), undefined)
})

test('an empty policy follows one redirect of status 302 to the same scheme', () => {
  assert.deepEqual(policyOf({ internal_redirect_policy: {} }), {
    redirectsMax: 1,
    statuses: [302],
    allowsOtherScheme: false,
    copiedHeaders: [],
    predicates: [],
  })
})

test('the deprecated fields count where there is no policy', () => {
  const deprecated = {
    internal_redirect_action: 'HANDLE_INTERNAL_REDIRECT',
    max_internal_redirects: 4,
  }
  assert.equal(policyOf(deprecated)?.redirectsMax, 4)
  const both = { ...deprecated, internal_redirect_policy: { max_internal_redirects: 2 } }
  assert.equal(policyOf(both)?.redirectsMax, 2)
})

test('statuses that are no redirects say nothing', () => {
  const policy = policyOf({
    internal_redirect_policy: { redirect_response_codes: [301, 305, 200] },
  })
  assert.deepEqual(policy?.statuses, [301])
})

test('a route is led to once', () => {
  const typed = { '@type': `${ext}.previous_routes.v3.PreviousRoutesConfig` }
  const policy = policyOf({
    internal_redirect_policy: { predicates: [{ name: 'p', typed_config: typed }] },
  })
  const [isNew] = policy?.predicates ?? []
  const before: string[] = []
  const leads = (from: string, to: string) =>
    isNew?.({ from, to, before, isHttps: false, leadsToHttps: false })
  assert.deepEqual(
    [leads('a', 'b'), leads('a', 'b'), leads('b', 'b'), leads('a', 'c')],
    [true, false, true, true],
  )
})

test('only routes of the list are led to', () => {
  const typed = {
    '@type': `${ext}.allow_listed_routes.v3.AllowListedRoutesConfig`,
    allowed_route_names: ['b'],
  }
  const policy = policyOf({
    internal_redirect_policy: { predicates: [{ name: 'p', typed_config: typed }] },
  })
  const [isListed] = policy?.predicates ?? []
  const leads = (to: string) =>
    isListed?.({ from: 'a', to, before: [], isHttps: false, leadsToHttps: false })
  assert.deepEqual([leads('b'), leads('c')], [true, false])
})

test('what came by http is not led to https where that is to be safe', () => {
  const typed = { '@type': `${ext}.safe_cross_scheme.v3.SafeCrossSchemeConfig` }
  const policy = policyOf({
    internal_redirect_policy: { predicates: [{ name: 'p', typed_config: typed }] },
  })
  const [isSafe] = policy?.predicates ?? []
  const leads = (isHttps: boolean, leadsToHttps: boolean) =>
    isSafe?.({ from: '', to: '', before: [], isHttps, leadsToHttps })
  assert.deepEqual(
    [leads(false, false), leads(false, true), leads(true, false), leads(true, true)],
    [true, false, true, true],
  )
})

for (const { name, policy, reason } of [
  {
    name: 'more than five statuses',
    policy: { redirect_response_codes: [301, 302, 303, 307, 308, 301] },
    reason: `${at}.internal_redirect_policy.redirect_response_codes: value must contain no more than 5 item(s)`,
  },
  {
    name: 'the host to copy',
    policy: { response_headers_to_copy: ['Host'] },
    reason: `${at}.internal_redirect_policy.response_headers_to_copy[0]: :-prefixed or host headers may not be copied (value "host")`,
  },
  {
    name: 'a pseudo header to copy',
    policy: { response_headers_to_copy: ['x', ':status'] },
    reason: `${at}.internal_redirect_policy.response_headers_to_copy[1]: :-prefixed or host headers may not be copied (value ":status")`,
  },
  {
    name: 'a header to copy twice',
    policy: { response_headers_to_copy: ['x-a', 'X-A'] },
    reason: `${at}.internal_redirect_policy.response_headers_to_copy: repeated value must contain unique items`,
  },
  {
    name: 'a predicate without a type',
    policy: { predicates: [{ name: 'p' }] },
    reason: `${at}.internal_redirect_policy.predicates[0].typed_config: is required`,
  },
  {
    name: 'a predicate that is none',
    policy: {
      predicates: [
        {
          name: 'p',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors',
          },
        },
      ],
    },
    reason: `${at}.internal_redirect_policy.predicates[0].typed_config: predicate p (envoy.extensions.filters.http.cors.v3.Cors) is not implemented`,
  },
]) {
  test(`${name} is refused`, () => {
    const result = compile({ internal_redirect_policy: policy })
    assert.deepEqual(result.ok ? [] : result.reasons, [reason])
  })
}
