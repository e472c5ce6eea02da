import { defineConfig } from 'vitest/config';

// Everything is named relative to the page, so that it lives behind any proxy path. Nothing is inlined into the HTML:
// the page's policy allows scripts and styles from its own origin only.
export default defineConfig({
  base: './',
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: { target: 'es2022', modulePreload: { polyfill: false }, assetsInlineLimit: 0, reportCompressedSize: false },
  server: { proxy: Object.fromEntries(['/clew', '/jaeger', '/tempo', '/metrics'].map((path) => [path, process.env.CLEW_SERVER ?? 'http://127.0.0.1:16686'])) },
  test: { include: ['src/lib/**/*.test.ts'] },
});
