"""Make the binary documents of ``examples/``: two PDFs, a Word file, a workbook and slides.

The same input gives the same bytes: dates are fixed and archives are packed anew. Run it from the
root of the checkout with the development dependencies installed::

    python scripts/make_examples.py

The Chinese PDF embeds a subset of WenQuanYi Micro Hei (Apache-2.0, or GPL-3.0 with the font
exception), from Debian's package ``fonts-wqy-microhei`` or https://wenq.org. ``--font`` names the
file when it lies elsewhere.
"""

import argparse
import io
import re
import zipfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import docx
import pptx
import xlsxwriter
from docx.oxml import OxmlElement
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import cm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer

FONT = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")
DATE = datetime(2026, 1, 15, 9, 0, 0)

Page = tuple[str, Sequence[str]]

HANDBOOK: Sequence[Page] = (
    (
        "1. The bee",
        (
            "A honey bee has five eyes: two large compound eyes and three small simple ones, "
            "the ocelli, on top of the head. She sees ultraviolet, which we do not, and does "
            "not see red, which we do. Her four wings are hooked together in flight by a row of "
            "tiny hooks, the hamuli, and beat about 230 times a second.",
            "On each hind leg a worker has a pollen basket, the corbicula: a smooth hollow "
            "fringed with stiff hairs. Under her abdomen lie four pairs of wax glands. Her "
            "sting is barbed; when she stings a mammal it stays in the skin, and she dies.",
            "A colony holds one queen, some tens of thousands of workers in summer, and a few "
            "hundred to a few thousand drones. The queen may lay 1,500 to 2,000 eggs on a day "
            "in early summer. From egg to adult a queen takes 16 days, a worker 21 and a drone "
            "24.",
        ),
    ),
    (
        "2. A working life",
        (
            "A worker's tasks change with her age. In the first days she cleans cells and warms "
            "the brood. Then she nurses larvae with food from glands in her head; later she "
            "builds comb, takes in nectar and packs pollen; some bees guard the entrance. At "
            "about three weeks she begins to forage, the most dangerous work, which she does to "
            "the end.",
            "A summer worker lives about six weeks. A worker raised in autumn has larger "
            "reserves of fat and protein and lives through the winter, four to six months.",
            "Drones do not forage. They wait for a queen in gathering places in the air, and "
            "die in mating. In autumn the workers drive the remaining drones out. A young queen "
            "mates with a dozen or more drones within a few days, and keeps their sperm for the "
            "rest of her life.",
        ),
    ),
    (
        "3. The hive",
        (
            "People robbed wild nests long before they kept bees. A rock painting in the Spider "
            "Caves near Bicorp in Spain, about 8,000 years old, shows a figure on ropes "
            "reaching into a nest. Reliefs in the sun temple of Niuserre in Egypt, from about "
            "2400 BC, show hives of clay. At Tel Rehov in Israel diggers found a row of such "
            "hives almost 3,000 years old.",
            "In 1851 Lorenzo Langstroth, a clergyman then living in Philadelphia, saw what bees "
            "do with gaps. A gap narrower than about 6 millimetres they close with propolis; "
            "one wider than about 9 millimetres they fill with comb; what lies between they "
            "leave open as a passage. This is the bee space. He built a box whose frames hang "
            "with a bee space all round, so that each can be lifted out without cutting, and "
            "patented it in 1852.",
            "Three inventions completed the modern hive: Johannes Mehring's pressed wax "
            "foundation (1857), Franz von Hruschka's centrifugal extractor (1865) and Moses "
            "Quinby's smoker with bellows (1870s).",
        ),
    ),
    (
        "4. Winter and the mite",
        (
            "When the air is colder than about 14 degrees Celsius the bees draw together into a "
            "cluster. They do not sleep: those inside shiver with their flight muscles and burn "
            "honey. Without brood the core stands at about 20 degrees or a little more; with "
            "brood it is kept near 35. The outer bees, packed head inwards, stay at about 10 "
            "degrees, just warm enough to hold on. In a cold country a colony needs some 18 to "
            "25 kilograms of honey until spring.",
            "The worst enemy of the western honey bee is the mite Varroa destructor. It came "
            "from the eastern honey bee, Apis cerana, in the twentieth century, feeds on brood "
            "and adult bees, and spreads deformed wing virus. It breeds in capped cells and "
            "prefers those of drones.",
            "To count mites, shake about 300 bees, half a cupful, in icing sugar or alcohol. "
            "Many keepers treat when they find more than 3 mites on 100 bees in late summer. "
            "Oxalic acid works best in midwinter, when there is no brood for mites to hide in.",
        ),
    ),
)

OVERWINTERING: Sequence[Page] = (
    (
        "一、冬团",
        (
            "蜜蜂不冬眠。气温降到约 14 摄氏度以下，蜂群就聚成一团，叫做冬团，也叫越冬蜂团。"
            "外层的蜜蜂头朝里，一只挨一只，像瓦片一样盖住蜂团；里层的蜜蜂吃蜜，抖动翅肌发热。",
            "没有子脾的时候，蜂团中心大约 20 摄氏度出头；蜂王一开始产卵，中心就要升到约 35 "
            "摄氏度。外层的温度保持在 10 摄氏度上下，再低，蜜蜂就会冻僵落下。"
            "外面越冷，蜂团缩得越紧，外层的蜂和里层的蜂慢慢换位。",
        ),
    ),
    (
        "二、饲料与保温",
        (
            "越冬饲料要在秋天喂足。华北地区，一个中等的西方蜜蜂群要留 15 到 20 公斤蜜；"
            "东北冬季更长，要多留 5 公斤左右。易结晶的蜜，例如油菜蜜，不宜做越冬饲料，"
            "因为蜜蜂在冬天很难出去采水来化开它。",
            "潮湿比寒冷更危险。包装太厚，水汽凝在箱壁上，滴湿蜂团。箱底垫草，箱后遮风，"
            "巢门缩小但不能堵死，每隔一段时间用铁丝钩掏出死蜂。",
            "冬天少开箱。贴着箱壁听：轻敲一下，蜂群“嗡”地一声随即停下，说明安好；"
            "声音拖长而散乱，可能是失王或者缺蜜。",
        ),
    ),
    (
        "三、出巢与春繁",
        (
            "蜜蜂爱干净，整个冬天把粪便憋在后肠里。早春选一个无风的晴天，气温在 8 摄氏度以上，"
            "去掉遮盖，让蜂群飞出去排泄，这叫“排泄飞行”。雪地上落满黄点，正是好兆头。",
            "排泄之后做第一次快速检查，看三件事：有没有蜂王，还剩多少蜜，蜂数够几脾。"
            "弱群两群并作一群，比分开过春天更稳妥。",
            "治螨要赶在子脾封盖以前。断子期没有封盖的巢房，螨无处可藏，草酸的效果最好。",
        ),
    ),
)

FARM_PRODUCTS = (
    ("品名", "2025 年产量（公斤）", "含水量", "单价（元/500 克）"),
    ("百花蜜", "412", "18.2%", "88"),
    ("五倍子蜜", "156", "18.9%", "120"),
    ("巢蜜", "37", "未测", "168"),
    ("蜂蜡", "21", "不适用", "45"),
)

FARM_MANUAL: Sequence[Page] = (
    (
        "蜂场概况",
        (
            "青石坡蜂场在秦岭南坡的清溪镇，海拔 1120 米，养中华蜜蜂 86 群，由陈素兰和儿子陈远照看。"
            "蜂场分上坡、下坡两处：上坡 54 群，下坡 32 群。",
        ),
    ),
    (
        "取蜜规矩",
        (
            "一年只取一次，在霜降前后。封盖不满八成的蜜脾不取；每群至少留 8 公斤蜜过冬，宁可少卖。",
            "取蜜前一天不喷烟，不喂糖。摇出的蜜用两层纱网过滤，不加热，静置三天再装瓶。",
        ),
    ),
    (
        "巡场安排",
        (
            "三月到九月每十天巡场一次，十月到来年二月每月一次。巡场的人要记下群势、蜜脾数和病情，"
            "写在箱盖背面的白漆上，也抄进账本。",
            "七月到九月提防胡蜂：每天上午十点和下午四点，在巢门前各守二十分钟。",
        ),
    ),
    (
        "中秋礼盒",
        (
            "礼盒装两瓶百花蜜和一块巢蜜，每年只做 60 盒，八月初一开始接单，先到先得。"
            "外地顾客走冷链，巢蜜怕热怕压。",
        ),
    ),
)

HIVE_LOG = (
    ("Date", "Hive", "Brood frames", "Mites per 100 bees", "Weight (kg)", "Remark"),
    ("2025-04-12", "Juniper", 5, 0.3, 31.5, "Queen seen, green mark"),
    ("2025-04-12", "Clover", 4, 0.7, 28.0, "Slow start"),
    ("2025-04-12", "Saffron", 6, 0.3, 33.2, "Strongest colony"),
    ("2025-04-12", "Bramble", 3, 1.0, 26.4, "Fed 2 litres of syrup"),
    ("2025-06-21", "Juniper", 9, 1.0, 58.9, "Second super added"),
    ("2025-06-21", "Clover", 8, 1.3, 47.1, "Three queen cells, split made"),
    ("2025-06-21", "Saffron", 10, 0.7, 64.3, "Lime trees in flower"),
    ("2025-06-21", "Bramble", 7, 2.0, 41.8, "Bad-tempered"),
    ("2025-08-30", "Juniper", 6, 2.3, 39.0, "Honey taken"),
    ("2025-08-30", "Clover", 5, 1.7, 36.2, "Honey taken"),
    ("2025-08-30", "Saffron", 6, 2.0, 41.5, "Honey taken"),
    ("2025-08-30", "Bramble", 4, 5.7, 33.6, "Treated with formic acid the same day"),
)

HARVEST = (
    ("Hive", "Spring honey (kg)", "Lime honey (kg)", "Jars of 340 g"),
    ("Juniper", 9.5, 14.2, 69),
    ("Clover", 6.0, 8.1, 41),
    ("Saffron", 11.3, 19.7, 91),
    ("Bramble", 3.2, 5.4, 25),
    ("Total", 30.0, 47.4, 226),
)

OPEN_DAY: Sequence[Page] = (
    (
        "Open day at Linden Lane Apiary",
        ("Saturday 13 June 2026, 10:00 to 16:00", "Bring long sleeves; veils are lent"),
    ),
    (
        "Why pollinators matter",
        (
            "About three quarters of the leading food crops yield more or better when animals "
            "pollinate them",
            "Wind pollinates wheat, rice and maize: they need no bees",
            "Californian almonds call in more than a million hives every February",
            "Tomatoes need a buzzing bumblebee: honey bees cannot shake the pollen loose",
        ),
    ),
    (
        "Programme",
        (
            "10:30 Lighting a smoker, with Ada",
            "11:30 Reading a waggle dance at the glass hive",
            "14:00 Honey tasting: spring, lime, heather",
            "15:00 Candle rolling for children, 2 pounds a candle",
        ),
    ),
)


def make_pdf(path: Path, title: str, pages: Sequence[Page], font: str) -> None:
    """One headed page of paragraphs per entry of ``pages``."""
    chinese = "CJK" if font == "WenQuanYi" else None
    heading = ParagraphStyle("h", fontName=font, fontSize=17, leading=24, spaceAfter=14)
    body = ParagraphStyle(
        "b", fontName=font, fontSize=11, leading=18, spaceAfter=10, alignment=TA_LEFT,
        wordWrap=chinese,
    )  # fmt: skip
    flow: list[object] = []
    for head, paragraphs in pages:
        flow += [Paragraph(head, heading), Spacer(1, 4)]
        flow += [Paragraph(text, body) for text in paragraphs]
        flow.append(PageBreak())
    SimpleDocTemplate(
        str(path), pagesize=A4, title=title, author="Waggle examples", invariant=1,
        leftMargin=2.5 * cm, rightMargin=2.5 * cm, topMargin=2.5 * cm, bottomMargin=2.5 * cm,
    ).build(flow)  # fmt: skip


def make_docx(path: Path) -> None:
    """The manual of the farm at 青石坡: headings, paragraphs and one table."""
    document = docx.Document()
    document.core_properties.title = "青石坡蜂场手册"
    document.add_heading("青石坡蜂场手册", level=0)
    for head, paragraphs in FARM_MANUAL:
        document.add_heading(head, level=1)
        for text in paragraphs:
            document.add_paragraph(text)
    document.add_heading("产品与价格", level=1)
    table = document.add_table(rows=0, cols=len(FARM_PRODUCTS[0]), style="Table Grid")
    for values in FARM_PRODUCTS:
        for cell, value in zip(table.add_row().cells, values, strict=True):
            cell.text = value
    table.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    document.save(str(path))


def make_xlsx(path: Path) -> None:
    """The hive log of Linden Lane Apiary: inspections and the harvest, one sheet each."""
    with xlsxwriter.Workbook(str(path)) as book:
        book.set_properties({"title": "Linden Lane Apiary: hive log 2025", "created": DATE})
        for name, rows in (("Inspections 2025", HIVE_LOG), ("Harvest 2025", HARVEST)):
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
            sheet.autofit()


def make_pptx(path: Path) -> None:
    """Slides of the open day at Linden Lane Apiary."""
    deck = pptx.Presentation()
    deck.core_properties.title = "Open day at Linden Lane Apiary"
    for title, lines in OPEN_DAY:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "\n".join(lines)
    deck.save(str(path))


def repack(path: Path) -> None:
    """Rewrite an OOXML archive with fixed dates, so that equal content means equal bytes."""
    stamp = DATE.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "docProps/core.xml":
                data = re.sub(rb"(<dcterms:\w+[^>]*>)[^<]*", rb"\g<1>" + stamp, data)
            new.writestr(zipfile.ZipInfo(name, DATE.timetuple()[:6]), data, zipfile.ZIP_DEFLATED)
    path.write_bytes(packed.getvalue())


def main() -> None:
    """Write the five files into the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--font", type=Path, default=FONT, help="WenQuanYi Micro Hei (.ttc)")
    parser.add_argument("--out", type=Path, default=Path("examples"), help="folder to write into")
    options = parser.parse_args()
    if not options.font.is_file():
        parser.error(f"no font at {options.font}: install fonts-wqy-microhei or pass --font FILE")
    pdfmetrics.registerFont(TTFont("WenQuanYi", str(options.font), subfontIndex=0))

    folder: Path = options.out
    folder.mkdir(parents=True, exist_ok=True)
    make_pdf(folder / "bee-handbook.pdf", "A small handbook of bees", HANDBOOK, "Times-Roman")
    make_pdf(folder / "蜂群过冬.pdf", "蜂群过冬", OVERWINTERING, "WenQuanYi")
    office: Sequence[tuple[str, Callable[[Path], None]]] = (
        ("青石坡蜂场手册.docx", make_docx),
        ("linden-lane-hive-log.xlsx", make_xlsx),
        ("open-day.pptx", make_pptx),
    )
    for name, make in office:
        make(folder / name)
        repack(folder / name)


if __name__ == "__main__":
    main()
