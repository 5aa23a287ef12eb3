# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The UTF-8 locales of the machine's operating systems."""

from __future__ import annotations

_TERRITORIES = (
    "aa DJ; af ZA; an ES; ar AE BH DZ EG IQ JO KW LB LY MA OM QA SA SD SY TN YE; ast ES; be BY; bg BG; "
    "bhb IN; br FR; bs BA; ca AD ES FR IT; cs CZ; cy GB; da DK; de AT BE CH DE IT LI LU; el CY GR; en "
    "AU BW CA DK GB HK IE NZ PH SC SG US ZA ZW; es AR BO CL CO CR DO EC ES GT HN MX NI PA PE PR PY SV "
    "US UY VE; et EE; eu ES FR; fi FI; fo FO; fr BE CA CH FR LU; ga IE; gd GB; gl ES; gv GB; he IL; hr "
    "HR; hsb DE; hu HU; id ID; is IS; it CH IT; ja JP; ka GE; kk KZ; kl GL; ko KR; ku TR; kw GB; lg UG; "
    "lt LT; lv LV; mg MG; mi NZ; mk MK; ms MY; mt MT; nb NO; nl BE NL; nn NO; oc FR; om KE; pl PL; pt "
    "BR PT; ro RO; ru RU UA; sk SK; sl SI; so DJ KE SO; sq AL; st ZA; sv FI SE; tcy IN; tg TJ; th TH; "
    "tl PH; tr CY TR; uk UA; uz UZ; wa BE; xh ZA; yi US; zh CN HK SG TW; zu ZA"
)

LOCALES = frozenset(
    f"{language}_{territory}"
    for language, *territories in map(str.split, _TERRITORIES.split(";"))
    for territory in territories
) | {"C"}
"""Without ``.UTF-8``, which all of them have: the entries of that form in /usr/share/i18n/SUPPORTED of
Debian 12 (glibc 2.36) and of Debian 13 (2.41). The role base sets no other; glibc's newer ones (en_IN) have
no such name. The control machine need not have the list."""
