/** What is found in folders, what is passed over, and what is an issue. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { findProgram, skipUnless } from '../../../test/support/programs.ts'
import { isHidden, readConfigFile, scanPaths } from './scan.ts'

const limits = { filesMax: 100, foldersMax: 100, fileBytesMax: 1_000 }

async function openFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'tulle-scan-'))
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}

test('files of YAML and JSON are found in all folders, in path order; editors’ files are not', async () => {
  await using folder = await openFolder()
  const at = (name: string) => join(folder.path, name)
  await mkdir(at('sub/deep'), { recursive: true })
  await mkdir(at('.git'))
  await mkdir(at('node_modules'))
  const loaded = ['a.yaml', 'b.yml', 'c.json', 'sub/deep/d.yaml']
  const ignored = [
    '.a.yaml.swp',
    '.#a.yaml',
    '#a.yaml#',
    '#a.yaml',
    '~a.yaml',
    'a.yaml~',
    'a.yaml.bak',
    '4913',
    'a.yaml___jb_tmp___',
    'README.md',
    '.hidden.yaml',
    '.git/x.yaml',
    'node_modules/x.yaml',
  ]
  for (const name of [...loaded, ...ignored]) await writeFile(at(name), '')
  const scan = await scanPaths([folder.path], limits)
  assert.deepEqual([...scan.files.keys()], loaded.map(at))
  assert.deepEqual(scan.issues, [])
})

test('a file that two roots name is loaded once', async () => {
  await using folder = await openFolder()
  const file = join(folder.path, 'a.yaml')
  await writeFile(file, '')
  const scan = await scanPaths([file, folder.path, `${folder.path}/.`], limits)
  assert.equal(scan.files.size, 1)
})

test('a file named by the user may have any extension', async () => {
  await using folder = await openFolder()
  const file = join(folder.path, 'mesh.conf')
  await writeFile(file, '')
  assert.deepEqual([...(await scanPaths([file], limits)).files.keys()], [file])
})

test('symbolic links are not followed and each that matters is an issue, circles included', async () => {
  await using folder = await openFolder()
  const at = (name: string) => join(folder.path, name)
  await symlink(folder.path, at('circle'))
  await symlink('/nowhere', at('dangling.yaml'))
  await symlink('/etc/hostname', at('unrelated'))
  const scan = await scanPaths([folder.path], limits)
  assert.equal(scan.files.size, 0)
  const found = scan.issues.map(({ code, severity, file }) => ({ code, severity, file }))
  assert.deepEqual(found, [
    { code: 'TUL0203', severity: 'warning', file: at('circle') },
    { code: 'TUL0203', severity: 'warning', file: at('dangling.yaml') },
  ])
})

test('a path that does not exist is an issue, and what came from below it stays hidden', async () => {
  const scan = await scanPaths(['/nowhere/config/'], limits)
  assert.equal(scan.issues[0]?.code, 'TUL0201')
  assert.equal(isHidden('/nowhere/config/a.yaml', scan), true)
  assert.equal(isHidden('/nowhere/config', scan), false)
  assert.equal(isHidden('/nowhere/config-2/a.yaml', scan), false)
})

const isRoot = process.getuid?.() === 0
test(
  'a folder without rights is an issue and hides its files',
  { skip: isRoot ? 'root may read everything' : false },
  async () => {
    await using folder = await openFolder()
    const locked = join(folder.path, 'locked')
    await mkdir(locked)
    await chmod(locked, 0)
    const scan = await scanPaths([folder.path], limits)
    assert.equal(scan.issues[0]?.code, 'TUL0201')
    assert.equal(isHidden(join(locked, 'a.yaml'), scan), true)
    await chmod(locked, 0o700)
  },
)

test('more files than the ceiling is one issue; the first in path order are loaded', async () => {
  await using folder = await openFolder()
  for (const name of ['a', 'b', 'c']) await writeFile(join(folder.path, `${name}.yaml`), '')
  const scan = await scanPaths([folder.path], { ...limits, filesMax: 2 })
  assert.deepEqual(
    [...scan.files.keys()],
    ['a.yaml', 'b.yaml'].map((name) => join(folder.path, name)),
  )
  assert.deepEqual(
    scan.issues.map(({ code }) => code),
    ['TUL0205'],
  )
  assert.equal(isHidden(join(folder.path, 'c.yaml'), scan), true)
})

test('more folders than the ceiling is one issue', async () => {
  await using folder = await openFolder()
  await mkdir(join(folder.path, 'a/b/c'), { recursive: true })
  const scan = await scanPaths([folder.path], { ...limits, foldersMax: 2 })
  assert.equal(scan.isTruncated, true)
})

const unreadable: readonly { claim: string; bytes: Uint8Array; code: string }[] = [
  { claim: 'a file over the ceiling', bytes: new Uint8Array(1_001).fill(97), code: 'TUL0204' },
  { claim: 'a file that is not UTF-8', bytes: new Uint8Array([0xc3, 0x28]), code: 'TUL0201' },
]
for (const { claim, bytes, code } of unreadable) {
  test(`${claim} is an issue, not content`, async () => {
    await using folder = await openFolder()
    const file = join(folder.path, 'a.yaml')
    await writeFile(file, bytes)
    const { content } = await readConfigFile(file, limits.fileBytesMax)
    assert.equal(content.kind === 'unreadable' && content.issue.code, code)
    assert.equal(content.kind === 'unreadable' && content.issue.file, file)
  })
}

test('a byte order mark is not content', async () => {
  await using folder = await openFolder()
  const file = join(folder.path, 'a.yaml')
  await writeFile(file, '\ufeffa: 1\n')
  const { content } = await readConfigFile(file, limits.fileBytesMax)
  assert.deepEqual(content, { kind: 'text', text: 'a: 1\n' })
})

test('a file that is not there is missing, and one whose folder is a file too', async () => {
  await using folder = await openFolder()
  const file = join(folder.path, 'a.yaml')
  assert.equal((await readConfigFile(file, 10)).content.kind, 'missing')
  await writeFile(file, '')
  assert.equal((await readConfigFile(join(file, 'b'), 10)).content.kind, 'missing')
})

const mkfifo = findProgram('mkfifo')
test(
  'a pipe named like a file is an issue and does not hang',
  { skip: skipUnless(mkfifo, 'mkfifo') },
  async () => {
    await using folder = await openFolder()
    const pipe = join(folder.path, 'a.yaml')
    execFileSync(mkfifo ?? '', [pipe])
    const scan = await scanPaths([folder.path], limits)
    assert.equal(scan.files.size, 0)
    assert.equal(scan.issues[0]?.file, pipe)
    const { content } = await readConfigFile(pipe, 10)
    assert.equal(content.kind, 'text')
  },
)
