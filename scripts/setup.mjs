/**
 * Brings a fresh clone to the point where it can run: packages (with the Node that we ship) and generated
 * protobuf code. Each step is skipped when its stamp says that nothing changed. Plain JavaScript for Node 20,
 * because it runs before anything is installed.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const stamps = join(root, 'build', 'stamps')

/** Installs what is missing, and returns the path of a Node that can run the sources. */
export function setUp() {
  step({
    name: 'packages',
    inputs: ['package-lock.json'],
    output: join(root, 'node_modules', '.package-lock.json'),
    says: 'installing packages, and Node 26 beside them (npm ci, about half a minute)',
    run: () =>
      run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']),
  })
  const node = findNode()
  step({
    name: 'protos',
    inputs: [
      'package-lock.json',
      'scripts/generate-protos.mjs',
      'scripts/message-table.mjs',
      ...protoFiles('proto'),
    ],
    output: join(root, 'src', 'xds', 'proto', 'generated', 'envoy'),
    says: 'generating protobuf codecs for the xDS messages (about five seconds)',
    run: () => run(node, [join(root, 'scripts', 'generate-protos.mjs')]),
  })
  return node
}

/** Of messages that are written here. */
function protoFiles(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .map((entry) => ({ entry, path: join(folder, entry.name) }))
    .flatMap(({ entry, path }) => (entry.isDirectory() ? protoFiles(path) : [path]))
    .sort()
}

/** The packaged Node 26 where its platform package exists, else this one if it is new enough. */
function findNode() {
  const packaged = join(root, 'node_modules', '.bin', 'node')
  if (existsSync(packaged)) return packaged
  const major = Number(process.versions.node.split('.')[0])
  if (major >= 24) return process.execPath
  process.stderr.write(
    `tulle: this platform (${process.platform} ${process.arch}) has no packaged Node, and the Node that runs this is\n` +
      `       ${process.version}. Install Node 24 or newer (Node 26 is what Tulle is tested with), and try again.\n`,
  )
  return process.exit(2)
}

function step({ name, inputs, output, says, run: work }) {
  const hash = createHash('sha256')
  for (const input of inputs) hash.update(readFileSync(join(root, input)))
  const wanted = hash.digest('hex')
  const stamp = join(stamps, name)
  const isCurrent =
    existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted
  if (isCurrent) return
  process.stderr.write(`tulle: ${says}\n`)
  const startedMs = Date.now()
  work()
  mkdirSync(stamps, { recursive: true })
  writeFileSync(stamp, wanted)
  process.stderr.write(
    `tulle: ${name} ready after ${((Date.now() - startedMs) / 1000).toFixed(1)} s\n`,
  )
}

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (result.status === 0) return
  const why = result.error?.message ?? `exit code ${String(result.status)}`
  process.stderr.write(`tulle: ${command} ${args.join(' ')} failed: ${why}\n`)
  process.exit(1)
}
