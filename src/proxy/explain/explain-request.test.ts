/** What is said of a host that a sidecar on demand has not called yet. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { messagesOfJson } from './config-messages.ts'
import { createExplainer } from './explain-request.ts'

const type = (name: string) => ({ '@type': `type.googleapis.com/envoy.${name}` })
const ads = { ads: {}, resource_api_version: 'V3' }
const reviews = {
  name: 'reviews',
  domains: ['reviews:9080'],
  routes: [{ match: { prefix: '/' }, direct_response: { status: 200 } }],
}

function explainer(routes: object) {
  return createExplainer(
    messagesOfJson({
      listeners: [
        {
          name: 'http_proxy',
          address: { socket_address: { address: '127.0.0.1', port_value: 15_001 } },
          filter_chains: [
            {
              filters: [
                {
                  name: 'http',
                  typed_config: {
                    ...type(
                      'extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
                    ),
                    stat_prefix: 'http_proxy',
                    rds: { route_config_name: 'http_proxy', config_source: ads },
                    http_filters: [
                      {
                        name: 'router',
                        typed_config: type('extensions.filters.http.router.v3.Router'),
                      },
                    ],
                  },
                },
              ],
            },
          ],
        },
      ],
      routes: [{ name: 'http_proxy', virtual_hosts: [reviews], ...routes }],
      clusters: [],
      assignments: [],
    }),
  )
}

function outcome(routes: object, host: string) {
  const request = { method: 'GET', url: `http://${host}/`, headers: [] }
  return explainer(routes)(request).verdict.outcome
}

const onDemand = { vhds: { config_source: ads } }

test('a host that comes on demand and is not there yet is unknown, not missing', () => {
  assert.equal(outcome(onDemand, 'ratings:9080'), 'unknown')
})

test('a host that has come on demand is explained as any other', () => {
  assert.equal(outcome(onDemand, 'reviews:9080'), 'answered')
})

test('a host that is missing where nothing comes on demand fails', () => {
  assert.equal(outcome({}, 'ratings:9080'), 'fails')
})
