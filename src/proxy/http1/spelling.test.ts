/** Names of headers, spelt anew. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { HeaderList } from '../http/header-list.ts'
import { noteSpelling, properCase, respell } from './spelling.ts'

const head = 'HTTP/1.1 200 OK: yes\r\nx-one: a:b\r\ndate: now\r\n\r\n'

test('a name in proper case has a capital after anything that is neither a letter nor a digit', () => {
  assert.deepEqual(['x-my-header', 'te', 'x_y', 'x1-a2b', 'etag', '-x'].map(properCase), [
    'X-My-Header',
    'Te',
    'X_Y',
    'X1-A2b',
    'Etag',
    '-X',
  ])
})

test('a head whose spelling nobody minds is the same text', () => {
  assert.equal(respell(head, new HeaderList(), undefined), head)
})

test('names are respelt, and values and the first line are not', () => {
  const spelling = { keepsReceived: false, others: properCase }
  assert.equal(
    respell(head, new HeaderList(), spelling),
    'HTTP/1.1 200 OK: yes\r\nX-One: a:b\r\nDate: now\r\n\r\n',
  )
})

test('a message keeps the spelling that it came with, of each name the first', () => {
  const headers = new HeaderList()
  const kept = { keepsReceived: true, others: undefined }
  noteSpelling(headers, { lower: 'x-one', raw: 'X-ONE' }, kept)
  noteSpelling(headers, { lower: 'x-one', raw: 'x-One' }, kept)
  const spelling = { keepsReceived: false, others: properCase }
  assert.equal(
    respell(head, headers, spelling),
    'HTTP/1.1 200 OK: yes\r\nX-ONE: a:b\r\ndate: now\r\n\r\n',
  )
})

test('the text of a message without headers of its own, as trailers, is respelt too', () => {
  const spelling = { keepsReceived: false, others: properCase }
  assert.equal(respell('0\r\nx-t: 1\r\n\r\n', undefined, spelling), '0\r\nX-T: 1\r\n\r\n')
})
