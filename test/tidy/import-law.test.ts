/** The import law: which room may import which (ARCHITECTURE.md), and which package each room may use. */
import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

import { listFiles, readText } from '../support/source-files.ts'

/** Every room may import `lib` and itself. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  model: [],
  identity: [],
  store: ['model'],
  registry: ['model', 'store'],
  xds: [],
  translate: ['model', 'registry', 'identity', 'xds'],
  observe: ['model'],
  rollout: ['model', 'store', 'observe'],
  control: [
    'api',
    'model',
    'identity',
    'store',
    'registry',
    'xds',
    'translate',
    'observe',
    'rollout',
  ],
  proxy: ['identity', 'xds'],
  capture: [],
  agent: ['identity', 'xds', 'capture', 'proxy'],
  api: ['model'],
  cli: ['api', 'model', 'store', 'registry', 'translate', 'agent', 'control', 'proxy'],
  bin: ['*'],
}

/** Packages by room. The request path imports none: see `proxyPackages`. */
const mayUse: Readonly<Record<string, readonly string[]>> = {
  lib: ['pino'],
  model: ['yaml', 're2js'],
  identity: ['@peculiar/x509', 'reflect-metadata', 'jose'],
  xds: ['@bufbuild/protobuf'],
  proxy: ['re2js', 'yaml', '@bufbuild/protobuf'],
  cli: ['commander', 'yaml'],
  agent: ['yaml'],
}

/** Sub-rooms of proxy/ that decide (policy) and that move bytes (transport): neither imports the other. */
const policy = new Set(['route', 'balance', 'resilience', 'authz', 'telemetry'])
const transport = new Set(['wire', 'http1', 'http2', 'tcp', 'tls'])

function roomOf(path: string): string {
  return path.split('/')[1] ?? ''
}

function importsOf(file: string): readonly string[] {
  const found = readText(file).matchAll(
    /^(?:import .*?|export .*?|\} )?(?:from |import )'([^']+)'$/gm,
  )
  const dynamic = readText(file).matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)
  return [...found, ...dynamic].map((match) => match[1] ?? '')
}

const files = listFiles('src', '.ts').filter((file) => !file.endsWith('.test.ts'))

test('every source file imports only what its room may', () => {
  const broken: string[] = []
  for (const file of files) {
    const room = roomOf(file)
    const allowed = mayImport[room]
    assert.ok(allowed, `${file}: the room ${room} is not in the import law`)
    for (const path of importsOf(file).filter((path) => path.startsWith('.'))) {
      const target = join(dirname(file), path)
      if (!target.startsWith('src/')) broken.push(`${file} imports ${target}, outside src/`)
      const to = roomOf(target)
      if (to === room || to === 'lib' || allowed.includes('*') || allowed.includes(to)) continue
      broken.push(`${file}: ${room} may not import ${to}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('every room uses only the packages that it is allowed', () => {
  const broken: string[] = []
  for (const file of files) {
    const room = roomOf(file)
    for (const path of importsOf(file)) {
      if (path.startsWith('.') || path.startsWith('node:')) continue
      const name = path.startsWith('@') ? path.split('/').slice(0, 2).join('/') : path.split('/')[0]
      if (room === 'bin' || mayUse[room]?.includes(name ?? '')) continue
      broken.push(`${file}: ${room} may not use ${path}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('inside the proxy, transports and policy do not import each other', () => {
  const broken: string[] = []
  for (const file of files.filter((file) => file.startsWith('src/proxy/'))) {
    const from = file.split('/')[2] ?? ''
    for (const line of readText(file).matchAll(/^import (?!type)[^'"]*from '(\.[^']+)'/gm)) {
      const to = join(dirname(file), line[1] ?? '').split('/')[2] ?? ''
      if (policy.has(from) && transport.has(to)) broken.push(`${file}: policy imports ${to}`)
      if (transport.has(from) && policy.has(to)) broken.push(`${file}: transport imports ${to}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('the request path uses node:http and node:http2 nowhere', () => {
  const allowed = /^src\/proxy\/(admin|sidecar)/
  const forbidden = /^node:http2?$|\/lib\/node-http\.ts$/
  const broken = files
    .filter((file) => file.startsWith('src/proxy/') && !allowed.test(file))
    .filter((file) => importsOf(file).some((path) => forbidden.test(path)))
  assert.deepEqual(broken, [])
})
