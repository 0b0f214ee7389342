/** The API as a client sees it, by literal requests and answers. */
import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { describe, test } from 'node:test'

import {
  openControlPlaneScene,
  type ControlPlaneScene,
} from '../../../test/support/control-plane-scene.ts'
import { eventually } from '../../../test/support/eventually.ts'

function routes(weight: number, name = 'reviews'): string {
  return `apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: ${name}
  labels: { team: a }
spec:
  hosts: [${name}]
  http:
  - route:
    - destination: { host: ${name} }
      weight: ${weight}
`
}

const service = (name: string) => `apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  selector: { app: ${name} }
  ports: [{ name: http, port: 8080 }]
`

const paths = {
  virtualServices: '/apis/networking.istio.io/v1/virtualservices',
  inDefault: '/apis/networking.istio.io/v1/namespaces/default/virtualservices',
  services: '/api/v1/namespaces/default/services',
}

const virtualService = (name: string, extra: object = {}) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name, ...extra },
  spec: { hosts: [name], http: [{ route: [{ destination: { host: name } }] }] },
})

describe('API discovery', () => {
  test('names the groups, versions and kinds', async () => {
    await using scene = await openControlPlaneScene({ 'a.yaml': service('reviews') })
    assert.deepEqual((await scene.get('/api')).body.versions, ['v1'])
    const groups = (await scene.get('/apis')).body.groups
    const networking = groups.find(
      (group: { name: string }) => group.name === 'networking.istio.io',
    )
    assert.equal(networking.preferredVersion.groupVersion, 'networking.istio.io/v1')
    assert.deepEqual((await scene.get('/apis/networking.istio.io')).body.kind, 'APIGroup')
    const list = (await scene.get('/apis/networking.istio.io/v1beta1')).body
    assert.equal(list.kind, 'APIResourceList')
    assert.equal(list.groupVersion, 'networking.istio.io/v1beta1')
    assert.deepEqual(
      list.resources.find((resource: { kind: string }) => resource.kind === 'VirtualService'),
      {
        name: 'virtualservices',
        singularName: 'virtualservice',
        namespaced: true,
        kind: 'VirtualService',
        verbs: ['get', 'list', 'watch'],
        shortNames: ['vs'],
      },
    )
    const own = (await scene.get('/apis/tulle.dev/v1alpha1')).body.resources
    assert.deepEqual(
      own.map((resource: { name: string }) => resource.name),
      ['meshes', 'routetests', 'proxies', 'services', 'workloads', 'issues'],
    )
    assert.equal((await scene.get('/version')).body.major, '1')
    for (const path of ['/healthz', '/livez', '/readyz']) {
      assert.deepEqual(await scene.get(path), { code: 200, body: 'ok' })
    }
  })

  const unknown = [
    '/apis/nothing.io',
    '/apis/networking.istio.io/v9',
    '/apis/networking.istio.io/v1/nothings',
    '/apis/networking.istio.io/v1/virtualservices/reviews',
    '/apis/tulle.dev/v1alpha1/namespaces/default/issues',
    '/apis/networking.istio.io/v1/namespaces/default/virtualservices/a/status',
    '/nothing',
  ]
  test('a path that there is not is a 404 Status', async () => {
    await using scene = await openControlPlaneScene({ 'a.yaml': service('reviews') })
    for (const path of unknown) {
      const { code, body } = await scene.get(path)
      assert.deepEqual([path, code, body.kind, body.reason], [path, 404, 'Status', 'NotFound'])
    }
  })
})

describe('API reads', () => {
  test('one object, in the version that is asked for, with where it is declared', async () => {
    await using scene = await openControlPlaneScene({
      'a.yaml': service('reviews'),
      'b.yaml': routes(100),
    })
    const { code, body } = await scene.get(`${paths.inDefault}/reviews`)
    assert.equal(code, 200)
    assert.equal(body.apiVersion, 'networking.istio.io/v1')
    assert.equal(body.kind, 'VirtualService')
    assert.equal(body.metadata.namespace, 'default')
    assert.deepEqual(body.metadata.labels, { team: 'a' })
    assert.deepEqual(body.metadata.annotations, {
      'tulle.dev/declared-in': `${scene.folder}/b.yaml:1`,
    })
    assert.match(
      body.metadata.uid,
      /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    assert.deepEqual(body.spec.http, [
      { route: [{ destination: { host: 'reviews' }, weight: 100 }] },
    ])
    const older = await scene.get(
      '/apis/networking.istio.io/v1alpha3/namespaces/default/virtualservices/reviews',
    )
    assert.equal(older.body.apiVersion, 'networking.istio.io/v1alpha3')
  })

  test('an object that is not there is a 404 that names it', async () => {
    await using scene = await openControlPlaneScene({ 'a.yaml': service('reviews') })
    assert.deepEqual(await scene.get(`${paths.inDefault}/nothing`), {
      code: 404,
      body: {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message: 'virtualservices.networking.istio.io "nothing" not found',
        reason: 'NotFound',
        details: { name: 'nothing', group: 'networking.istio.io', kind: 'virtualservices' },
        code: 404,
      },
    })
  })

  test('lists are of all namespaces or of one, in pages, and selected by labels and fields', async () => {
    const files = Object.fromEntries(
      ['a', 'b', 'c', 'd', 'e'].map((name) => [`${name}.yaml`, routes(100, name)]),
    )
    files['z.yaml'] = routes(100, 'z').replace('name: z', 'name: z\n  namespace: other')
    await using scene = await openControlPlaneScene(files)
    const names = (answer: { body: { items: { metadata: { name: string } }[] } }) =>
      answer.body.items.map((item) => item.metadata.name)
    assert.deepEqual(names(await scene.get(paths.virtualServices)), ['a', 'b', 'c', 'd', 'e', 'z'])
    assert.deepEqual(names(await scene.get(paths.inDefault)), ['a', 'b', 'c', 'd', 'e'])
    const first = await scene.get(`${paths.inDefault}?limit=2`)
    assert.deepEqual(names(first), ['a', 'b'])
    assert.equal(first.body.metadata.remainingItemCount, 3)
    const token = encodeURIComponent(first.body.metadata.continue)
    const second = await scene.get(`${paths.inDefault}?limit=2&continue=${token}`)
    assert.deepEqual(names(second), ['c', 'd'])
    const last = encodeURIComponent(second.body.metadata.continue)
    const third = await scene.get(`${paths.inDefault}?limit=2&continue=${last}`)
    assert.deepEqual([names(third), third.body.metadata.continue], [['e'], undefined])
    const select = async (query: string) =>
      names(await scene.get(`${paths.virtualServices}?${query}`))
    assert.deepEqual(await select('labelSelector=team%3Da&fieldSelector=metadata.name%3Dc'), ['c'])
    assert.deepEqual(await select('labelSelector=team%20in%20(a,b),!none&limit=1'), ['a'])
    assert.deepEqual(await select('labelSelector=team!%3Da'), [])
    assert.deepEqual(await select('fieldSelector=metadata.namespace%3Dother'), ['z'])
  })

  const malformed = [
    'labelSelector=%3D%3D',
    'labelSelector=a%20in%20b',
    'fieldSelector=spec.hosts%3Da',
    'limit=many',
    'continue=nonsense',
    'watch=true&resourceVersion=abc',
  ]
  test('a query that is malformed is a 400 Status', async () => {
    await using scene = await openControlPlaneScene({ 'a.yaml': routes(100) })
    for (const query of malformed) {
      const { code, body } = await scene.get(`${paths.virtualServices}?${query}`)
      assert.deepEqual([query, code, body.reason], [query, 400, 'BadRequest'])
    }
  })

  test('kubectl gets a table when it asks for one', async () => {
    await using scene = await openControlPlaneScene({ 'a.yaml': routes(100) })
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
    const { body } = await scene.get(paths.inDefault, { accept })
    assert.equal(body.kind, 'Table')
    assert.deepEqual(
      body.columnDefinitions.map((column: { name: string }) => column.name),
      ['Name', 'Gateways', 'Hosts', 'Created'],
    )
    assert.deepEqual(body.rows[0].cells, ['reviews', '', '["reviews"]', ''])
    assert.equal(body.rows[0].object.metadata.name, 'reviews')
  })

  test('metrics have their Istio names', async () => {
    await using scene = await openControlPlaneScene({ 'a.yaml': service('reviews') })
    const { body } = await scene.get('/metrics')
    assert.match(body, /^pilot_services 1$/m)
    assert.match(body, /^pilot_xds 0$/m)
    assert.match(body, /^pilot_proxy_convergence_time_count 0$/m)
    assert.match(body, /^# TYPE pilot_total_xds_rejects counter$/m)
  })
})

/** The lines of a watch, one by one. */
async function openWatch(scene: ControlPlaneScene, path: string) {
  const stop = new AbortController()
  const response = await fetch(scene.controlPlane.apiUrl + path, { signal: stop.signal })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  return {
    code: response.status,
    async next(): Promise<{
      type: string
      object: {
        metadata: { name: string; resourceVersion: string; annotations?: Record<string, string> }
      }
    }> {
      while (!text.includes('\n')) {
        const chunk = await reader?.read()
        if (chunk?.value === undefined) throw new Error('the watch has ended')
        text += chunk.value
      }
      const end = text.indexOf('\n')
      const line = text.slice(0, end)
      text = text.slice(end + 1)
      return JSON.parse(line)
    },
    [Symbol.dispose]: () => stop.abort(),
  }
}

describe('API watches', () => {
  test('a watch starts with what is there and follows what happens', async () => {
    await using scene = await openControlPlaneScene({ 'a.yaml': routes(100, 'a') })
    using watch = await openWatch(scene, `${paths.inDefault}?watch=true`)
    const see = async () => {
      const { type, object } = await watch.next()
      return [type, object.metadata.name]
    }
    assert.deepEqual(await see(), ['ADDED', 'a'])
    scene.write('b.yaml', routes(100, 'b'))
    assert.deepEqual(await see(), ['ADDED', 'b'])
    scene.write('b.yaml', routes(100, 'b').replace('team: a', 'team: b'))
    assert.deepEqual(await see(), ['MODIFIED', 'b'])
    scene.write('b.yaml', routes(100, 'c'))
    assert.deepEqual(
      [await see(), await see()].sort(([a = ''], [b = '']) => a.localeCompare(b)),
      [
        ['ADDED', 'c'],
        ['DELETED', 'b'],
      ],
    )
  })

  test('a watch from a list goes on where the list ended', async () => {
    await using scene = await openControlPlaneScene({ 'a.yaml': routes(100, 'a') })
    const list = await scene.get(paths.inDefault)
    scene.write('b.yaml', routes(100, 'b'))
    await eventually(async () => (await scene.get(paths.inDefault)).body.items.length === 2)
    const version = list.body.metadata.resourceVersion
    using watch = await openWatch(scene, `${paths.inDefault}?watch=1&resourceVersion=${version}`)
    const { type, object } = await watch.next()
    assert.deepEqual([type, object.metadata.name], ['ADDED', 'b'])
  })

  test('with a selector, a change can look like coming or going', async () => {
    await using scene = await openControlPlaneScene({ 'a.yaml': routes(100, 'a') })
    using watch = await openWatch(scene, `${paths.inDefault}?watch=true&labelSelector=team%3Db`)
    scene.write('a.yaml', routes(100, 'a').replace('team: a', 'team: b'))
    assert.equal((await watch.next()).type, 'ADDED')
    scene.write('a.yaml', routes(100, 'a').replace('team: a', 'team: c'))
    assert.equal((await watch.next()).type, 'DELETED')
  })

  test('a version from before this process is 410 Gone', async () => {
    await using scene = await openControlPlaneScene({ 'a.yaml': routes(100) })
    const { code, body } = await scene.get(`${paths.inDefault}?watch=true&resourceVersion=12`)
    assert.deepEqual([code, body.reason, body.code], [410, 'Expired', 410])
    assert.match(body.message, /^too old resource version: 12 \(\d+\)$/)
  })

  test('a bookmark tells the end of what was there', async () => {
    await using scene = await openControlPlaneScene({ 'a.yaml': routes(100, 'a') })
    const query = 'watch=true&sendInitialEvents=true&allowWatchBookmarks=true'
    using watch = await openWatch(scene, `${paths.inDefault}?${query}`)
    assert.equal((await watch.next()).type, 'ADDED')
    const { type, object } = await watch.next()
    assert.equal(type, 'BOOKMARK')
    assert.deepEqual(object.metadata.annotations, { 'k8s.io/initial-events-end': 'true' })
  })

  test('what runs can be watched too', async () => {
    await using scene = await openControlPlaneScene({ 'a.yaml': service('reviews') })
    using watch = await openWatch(scene, '/apis/tulle.dev/v1alpha1/proxies?watch=true')
    const peer = scene.connect('delta')
    const id = 'sidecar~127.0.0.1~one.default~default.svc.cluster.local'
    peer.send({ node: { id }, typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster' })
    const { type, object } = await watch.next()
    assert.deepEqual([type, object.metadata.name], ['ADDED', 'one'])
  })
})

describe('API writes without a store', () => {
  test('what a file declares is changed in that file, with its line', async () => {
    await using scene = await openControlPlaneScene({
      'a.yaml': service('x') + '---\n' + routes(100),
    })
    for (const [method, path] of [
      ['PUT', `${paths.inDefault}/reviews`],
      ['DELETE', `${paths.inDefault}/reviews`],
      ['POST', paths.inDefault],
    ] as const) {
      const { code, body } = await scene.send(`${method} ${path}`, virtualService('reviews'))
      assert.deepEqual([method, code, body.reason], [method, 409, 'Conflict'])
      assert.match(
        body.message,
        /VirtualService default\/reviews is declared in .*a\.yaml:8: edit that file/,
      )
    }
  })

  test('everything else is 405, and names the folder to edit', async () => {
    await using scene = await openControlPlaneScene({ 'a.yaml': service('x') })
    const { code, body } = await scene.send(`POST ${paths.inDefault}`, virtualService('new'))
    assert.deepEqual([code, body.reason], [405, 'MethodNotAllowed'])
    assert.equal(body.message, `this control plane has no store to write to: edit ${scene.folder}`)
    const view = await scene.send('DELETE /apis/tulle.dev/v1alpha1/issues/a', undefined)
    assert.deepEqual([view.code, view.body.reason], [405, 'MethodNotAllowed'])
  })
})

describe('API writes with a store', () => {
  const open = () => openControlPlaneScene({ 'a.yaml': service('reviews') }, { store: 'memory' })

  test('an object is created, read, replaced, patched and deleted', async () => {
    await using scene = await open()
    const created = await scene.send(`POST ${paths.inDefault}`, virtualService('reviews'))
    assert.equal(created.code, 201)
    assert.notEqual(created.body.metadata.resourceVersion, undefined)
    assert.notEqual(created.body.metadata.creationTimestamp, undefined)
    const path = `${paths.inDefault}/reviews`
    const got = (await scene.get(path)).body
    assert.deepEqual(got.spec, virtualService('reviews').spec)

    const replaced = await scene.send(`PUT ${path}`, {
      ...got,
      spec: { ...got.spec, hosts: ['other'] },
    })
    assert.deepEqual([replaced.code, replaced.body.spec.hosts], [200, ['other']])
    assert.notEqual(replaced.body.metadata.resourceVersion, got.metadata.resourceVersion)

    const patch = { metadata: { labels: { team: 'a' } }, spec: { hosts: ['third'], tcp: null } }
    const headers = { 'content-type': 'application/merge-patch+json' }
    const patched = await scene.send(`PATCH ${path}`, patch, headers)
    assert.deepEqual([patched.code, patched.body.spec.hosts], [200, ['third']])
    assert.deepEqual(patched.body.metadata.labels, { team: 'a' })
    assert.deepEqual(patched.body.spec.http, got.spec.http)

    const deleted = await scene.send(`DELETE ${path}`, undefined)
    assert.deepEqual([deleted.code, deleted.body.status], [200, 'Success'])
    assert.equal((await scene.get(path)).code, 404)
    assert.equal((await scene.send(`DELETE ${path}`, undefined)).code, 404)
    assert.equal((await scene.send(`PUT ${path}`, got)).code, 404)
  })

  test('a write with an older resourceVersion is a 409 Conflict', async () => {
    await using scene = await open()
    const { body } = await scene.send(`POST ${paths.inDefault}`, virtualService('reviews'))
    const path = `${paths.inDefault}/reviews`
    const next = { ...body, spec: { ...body.spec, hosts: ['other'] } }
    assert.equal((await scene.send(`PUT ${path}`, next)).code, 200)
    const late = await scene.send(`PUT ${path}`, {
      ...body,
      spec: { ...body.spec, hosts: ['late'] },
    })
    assert.deepEqual([late.code, late.body.reason], [409, 'Conflict'])
    assert.match(late.body.message, /the object has been modified/)
    const again = await scene.send(`POST ${paths.inDefault}`, virtualService('reviews'))
    assert.deepEqual([again.code, again.body.reason], [409, 'AlreadyExists'])
  })

  test('what is invalid is a 422 with every cause and its field, and is not stored', async () => {
    await using scene = await open()
    const broken = {
      ...virtualService('reviews'),
      spec: {
        hosts: ['reviews'],
        http: [{ timeout: 'soon', retries: { attempts: -1 }, rout: [] }],
      },
    }
    const { code, body } = await scene.send(`POST ${paths.inDefault}`, broken)
    assert.deepEqual([code, body.reason], [422, 'Invalid'])
    const fields = body.details.causes.map((cause: { field: string }) => cause.field)
    for (const field of [
      'spec.http[0].timeout',
      'spec.http[0].retries.attempts',
      'spec.http[0].rout',
    ]) {
      assert.ok(fields.includes(field), `${field} is among ${fields.join(', ')}`)
    }
    assert.equal((await scene.get(`${paths.inDefault}/reviews`)).code, 404)
  })

  test('a dry run changes nothing', async () => {
    await using scene = await open()
    const path = `${paths.inDefault}?dryRun=All`
    assert.equal((await scene.send(`POST ${path}`, virtualService('reviews'))).code, 201)
    assert.equal((await scene.get(`${paths.inDefault}/reviews`)).code, 404)
  })

  const refused = [
    {
      name: 'another kind than the path says',
      body: { ...virtualService('a'), kind: 'Gateway' },
      code: 400,
    },
    {
      name: 'another namespace than the path says',
      body: virtualService('a', { namespace: 'b' }),
      code: 400,
    },
    { name: 'a body that is no JSON', body: '{', code: 400 },
    { name: 'a body that is a list', body: [], code: 400 },
    {
      name: 'a body of another media type',
      body: 'kind: VirtualService',
      code: 415,
      headers: { 'content-type': 'application/yaml' },
    },
    {
      name: 'a form of a web page',
      body: '{}',
      code: 415,
      headers: { 'content-type': 'text/plain' },
    },
    { name: 'a body beyond the ceiling', body: 'x'.repeat((3 << 20) + 1), code: 413 },
  ]
  for (const { name, body, code, headers } of refused) {
    test(`${name} is refused with ${code}`, async () => {
      await using scene = await open()
      const answer = await scene.send(`POST ${paths.inDefault}`, body, headers)
      assert.equal(answer.code, code)
      assert.equal(answer.body.kind, 'Status')
    })
  }
})

describe('API and web pages', () => {
  const refused: readonly { readonly name: string; readonly headers: Record<string, string> }[] = [
    { name: 'a Host header that was bound to our address', headers: { host: 'evil.example' } },
    { name: 'a page from elsewhere', headers: { origin: 'https://evil.example' } },
    { name: 'a page without an origin of its own', headers: { origin: 'null' } },
  ]
  for (const { name, headers } of refused) {
    test(`${name} is refused with 403`, async () => {
      await using scene = await openControlPlaneScene({ 'a.yaml': service('x') })
      const code = await new Promise((resolve) => {
        // fetch() does not let anybody set these headers.
        httpRequest(`${scene.controlPlane.apiUrl}/apis`, { headers }, (response) => {
          response.resume()
          resolve(response.statusCode)
        }).end()
      })
      assert.equal(code, 403)
    })
  }
})
