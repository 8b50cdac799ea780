// What static/dom.js makes, in types.

/** ElementOf is the element that a tag makes. */
export type ElementOf<Tag extends string> = Tag extends '' ? HTMLDivElement
  : Tag extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[Tag] : HTMLElement;

/** Made is what h makes of "tag.class.class". */
export type Made<Spec extends string> = Spec extends `${infer Tag}.${string}` ? ElementOf<Tag> : ElementOf<Spec>;

/** Properties of an element: listeners, properties and attributes; false, null and undefined leave one out. */
export type Properties<El> = {
  [event in keyof HTMLElementEventMap as `on${event}`]?: (e: HTMLElementEventMap[event] & {currentTarget: El}) => unknown;
} & {srcObject?: MediaStream | null} & {[attribute: string]: unknown};

export type Child = Node | string | number | null | undefined | false;

/** MenuItem is one action of a menu; checked makes it one that is on or off. '-' is a line between others. */
export type MenuItem = '-' | null | {icon?: string; text: string; run: () => unknown; checked?: boolean; danger?: boolean};

/** ToastOptions: seconds 0 is five, or ten with an action or if urgent; pane is the one that an action opens. */
export interface ToastOptions {
  urgent?: boolean; kind?: string; action?: (() => unknown) | null; label?: string; seconds?: number; key?: string;
}
