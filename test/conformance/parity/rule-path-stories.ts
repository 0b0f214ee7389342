/** What Envoy's own tests of its route configuration ask about hosts and paths, put to both. */
import { type Ask, type RouteStory, all, path, to } from './route-story.ts'

/** To another host than the story's own. */
export function host(name: string, method = 'GET'): Ask {
  return { raw: `${method} / HTTP/1.1\r\nhost: ${name}\r\nx-case: $CASE\r\n\r\n` }
}

function domains(name: string, names: readonly string[], asked: readonly string[]): RouteStory {
  const asks = asked.map((one) => host(one))
  return { name, host: { domains: names }, routes: [{ name, match: all, route: to }], asks }
}

export const rewrite = (regex: string, substitution: string): object => ({
  ...to,
  regex_rewrite: { pattern: { regex }, substitution },
})

export const hostRules: readonly RouteStory[] = [
  domains(
    'whole domains',
    ['www.order.test', 'www.order.tt', 'wwww.order.test'],
    ['www.order.test', 'wwww.order.test', 'www.order.tt'],
  ),
  domains('longest end', ['*w.order.test'], ['ww.order.test', 'xw.order.test']),
  domains(
    'longest beginning',
    ['www.order.t*', 'ww.order.t*'],
    ['www.order.te', 'ww.order.te', 'www.order.t', 'w.order.test'],
  ),
  domains(
    'end with a dash',
    ['*.dots.test', '*-bar.dashes.test'],
    ['www.dots.test', 'foo-bar.dashes.test', '-bar.dashes.test', '.dots.test', 'dots.test'],
  ),
  domains('end with a dot', ['*.dashes.test'], ['bar.dashes.test', 'a.b.dashes.test']),
  domains(
    'addresses',
    ['12.34.56.78', '[12:34:56:7890::]'],
    ['12.34.56.78', '12.34.56.78:1234', '[12:34:56:7890::]', '[12:34:56:7890::]:8090'],
  ),
]

export const pathRules: readonly RouteStory[] = [
  {
    name: 'regular expressions',
    routes: [
      { name: 'clock', match: { safe_regex: { regex: '/t[io]c' } }, route: to },
      { name: 'sheep', match: { safe_regex: { regex: '/baa+' } }, route: to },
      {
        name: 'three',
        match: { safe_regex: { regex: '.*/\\d{3}$' } },
        route: { ...to, prefix_rewrite: '/rewrote' },
      },
      {
        name: 'four',
        match: { safe_regex: { regex: '.*/\\d{4}$' } },
        route: rewrite('(^.*)/(\\d{4})$', '/four/\\2/endpoint\\1'),
      },
      { name: 'rest', match: { safe_regex: { regex: '.*' } }, route: to },
    ],
    asks: [
      '/tic',
      '/toc',
      '/tac',
      '/tick',
      '/tic/toc',
      '/baa',
      '/baaaaaaaaaaaa',
      '/ba',
      '/tic?tac=true',
      '/tac?tic=true',
      '/647',
      '/970?foo=true',
      '/foo/bar/238?bar=true',
      '/xx/yy/6472',
      '/xx/yy/6472?test=foo',
    ].map(path),
  },
  {
    name: 'regular expressions of new paths',
    routes: [
      {
        match: { prefix: '/new1_' },
        route: rewrite('^/new(.*?)_end(.*)$', '/\\1_rewritten_end\\2'),
      },
      { match: { prefix: '/new2_' }, route: rewrite('e', 'X') },
      { match: { path: '/exact/path/for' }, route: rewrite('[aeiou]', 'V') },
      { match: { prefix: '/group' }, route: rewrite('(a)?b', '[\\1]') },
    ],
    asks: [
      '/new1_end/foo',
      '/new2_end/tee?test=me',
      '/exact/path/for',
      '/exact/path/for?test=aeiou',
      '/group/abb?b',
    ].map(path),
  },
  {
    name: 'case of paths',
    routes: [
      {
        match: { path: '/api/locations', case_sensitive: false },
        route: { ...to, prefix_rewrite: '/rewrote' },
      },
      { match: { path: '/foo' }, route: { ...to, prefix_rewrite: '/bar' } },
      {
        match: { path: '/tar', case_sensitive: false },
        route: { ...to, prefix_rewrite: '/car' },
      },
      {
        match: { path: '/FOOD', case_sensitive: false },
        route: { ...to, prefix_rewrite: '/cAndy' },
      },
      { match: { path: '/ApplEs' }, route: { ...to, prefix_rewrite: '/oranGES' } },
      {
        match: { prefix: '/newhost', case_sensitive: false },
        route: { ...to, host_rewrite_literal: 'new.test' },
      },
      { name: 'rest', match: all, route: to },
    ],
    asks: [
      '/api/locations?works=true',
      '/API/locations?works=true',
      '/fooD',
      '/FOO',
      '/ApPles',
      '/Tart',
      '/NEWhost/me',
    ].map(path),
  },
  {
    name: 'case of separated prefixes',
    routes: [
      { name: 'first', match: { path_separated_prefix: '/rest/API' }, route: to },
      { name: 'second', match: { path_separated_prefix: '/REST/api' }, route: to },
      {
        name: 'third',
        match: { path_separated_prefix: '/rest/api', case_sensitive: false },
        route: { ...to, prefix_rewrite: '/n' },
      },
      { name: 'rest', match: all, route: to },
    ],
    asks: [
      '/rest/API',
      '/rest/API?p',
      '/rest/API/',
      '/rest/API/thing?p',
      '/REST/api',
      '/REST/API',
      '/REST/API/thing?p',
      '/rest/apithing',
    ].map(path),
  },
  {
    name: 'prefixes of redirects',
    routes: [
      ['/prefix', '/new/prefix'],
      ['/ignore-this/', '/'],
      ['/ignore-this', '/'],
      ['/ignore-substring', '/'],
      ['/service-hello/', '/'],
    ].map(([prefix, prefix_rewrite]) => ({ match: { prefix }, redirect: { prefix_rewrite } })),
    asks: [
      '/prefix/some/path/?lang=eng&con=US',
      '/ignore-this',
      '/ignore-this/',
      '/ignore-this/however/use',
      '/ignore-substringto/use/',
      '/ignore-substring-to/use/',
      '/service-hello/a/b/c',
    ].map(path),
  },
  {
    name: 'regular expressions of redirects',
    routes: [false, true].map((strip_query) => ({
      match: { prefix: strip_query ? '/strip' : '/keep' },
      redirect: {
        strip_query,
        regex_rewrite: { pattern: { regex: '/foo/([0-9]{4})/(.*)' }, substitution: '/\\2/\\1/baz' },
      },
    })),
    asks: [
      '/keep/foo/9000/endpoint?lang=eng&con=US',
      '/keep/foo/1984/bar/anything',
      '/keep/other?a',
      '/strip/foo/9000/endpoint?lang=eng',
      '/strip/foo/1984/bar/anything',
    ].map(path),
  },
  {
    name: 'everything redirected',
    routes: [
      {
        match: { prefix: '/all' },
        redirect: {
          host_redirect: 'new.test',
          prefix_rewrite: '/new',
          https_redirect: true,
          strip_query: true,
        },
      },
      { match: { prefix: '/ws' }, redirect: { scheme_redirect: 'ws' } },
      {
        match: { prefix: '/port' },
        redirect: { scheme_redirect: 'ws', host_redirect: 'new.test', port_redirect: 8080 },
      },
      { match: { prefix: '/' }, redirect: { https_redirect: true, path_redirect: '/n?x#y' } },
    ],
    asks: [
      path('/all/here/we/go?key=value'),
      { ...path('/ws'), host: ':80' },
      { ...path('/ws'), host: ':443' },
      { ...path('/ws'), host: ':80', headers: { 'x-forwarded-proto': 'https' } },
      { ...path('/ws'), host: ':443', headers: { 'x-forwarded-proto': 'https' } },
      { ...path('/port'), host: ':443' },
      { ...path('/x'), host: ':80' },
      { ...path('/x'), host: ':443', headers: { 'x-forwarded-proto': 'https' } },
    ],
  },
  {
    name: 'address of IPv6 redirected',
    host: { domains: ['[fe80::1]', '[fe80::1]:80', '[fe80::1]:443', '[fe80::1]:8080'] },
    routes: [{ match: all, redirect: { https_redirect: true } }],
    asks: [host('[fe80::1]'), host('[fe80::1]:80'), host('[fe80::1]:8080'), host('[fe80::1]:443')],
  },
  {
    name: 'address of IPv6 with another port',
    host: { domains: ['[fe80::3]', '[fe80::3]:8080'] },
    routes: [{ match: all, redirect: { port_redirect: 8181 } }],
    asks: [host('[fe80::3]'), host('[fe80::3]:8080')],
  },
]
