/** An optional peer: loaded when a gateway opens, so that nobody else has to have it. */
import type { createProxyServer } from 'http-proxy-3';

export interface ProxyLibrary {
  createProxyServer: typeof createProxyServer;
}

export function loadProxyLibrary(): Promise<ProxyLibrary> {
  return import('http-proxy-3');
}

/** @throws Error that says what to install */
export function requireProxyLibrary(find: (name: string) => unknown = import.meta.resolve): void {
  try {
    find('http-proxy-3');
  } catch (error) {
    throw new Error('a gateway needs the package http-proxy-3: npm install http-proxy-3@2', { cause: error });
  }
}
